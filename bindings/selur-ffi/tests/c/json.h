/* JSON as the vectors and the answers have it: read, compared in part, written. It reads what is valid, and refuses the rest. */
#ifndef SELUR_TEST_JSON_H
#define SELUR_TEST_JSON_H

#include <stdbool.h>
#include <stddef.h>

enum json_kind { JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT };

struct json {
    enum json_kind kind;
    /* Of a text its bytes, of a number as it was written; a 0 follows. */
    char *text;
    size_t length;
    /* Of a list or an object. */
    struct json *items;
    size_t count;
    /* In an object: the name of this field. */
    char *name;
};

/* Bytes that grow. */
struct buffer {
    char *bytes;
    size_t length;
    size_t capacity;
};

/* What stands for a text that begins with `$`; NULL is an error. */
typedef const char *(*json_lookup)(void *context, const char *name);

/* Reads a whole text, to be freed with json_free(); NULL if it is no JSON. */
struct json *json_parse(const char *text, size_t length);
void json_free(struct json *value);

/* A field of an object; NULL if it has none of that name. */
const struct json *json_field(const struct json *object, const char *name);
/* The same; its absence, or another kind, fails the test. */
const struct json *json_need(const struct json *object, const char *name, enum json_kind kind);
/* A number's value. */
long long json_integer(const struct json *number);

/* Whether `whole` contains `part`: objects field by field, lists item by item, everything else as a whole. */
bool json_contains(const struct json *whole, const struct json *part, json_lookup lookup, void *context);
/* Writes a value, with what its texts stand for. */
void json_write(const struct json *value, struct buffer *out, json_lookup lookup, void *context);

void buffer_add(struct buffer *buffer, const void *bytes, size_t count);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_free(struct buffer *buffer);
/* A whole file; what cannot be read fails the test. */
struct buffer read_file(const char *path);

#endif
