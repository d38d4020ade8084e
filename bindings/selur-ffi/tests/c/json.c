#include "json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define MAX_DEPTH 64

struct reader {
    const char *at;
    const char *end;
};

static bool read_value(struct reader *reader, struct json *value, int depth);

void buffer_add(struct buffer *buffer, const void *bytes, size_t count) {
    if (buffer->length + count + 1 > buffer->capacity) {
        buffer->capacity = (buffer->length + count + 1) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        CHECK(buffer->bytes != NULL);
    }
    if (count > 0) {
        memcpy(buffer->bytes + buffer->length, bytes, count);
    }
    buffer->length += count;
    buffer->bytes[buffer->length] = 0;
}

void buffer_text(struct buffer *buffer, const char *text) { buffer_add(buffer, text, strlen(text)); }

void buffer_free(struct buffer *buffer) {
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

struct buffer read_file(const char *path) {
    struct buffer content = {0};
    char piece[65536];
    size_t count;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        FAIL("%s cannot be opened", path);
    }
    while ((count = fread(piece, 1, sizeof piece, file)) > 0) {
        buffer_add(&content, piece, count);
    }
    if (ferror(file) || content.length == 0) {
        FAIL("%s cannot be read, or is empty", path);
    }
    fclose(file);
    return content;
}

static void skip_space(struct reader *reader) {
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != 0) {
        reader->at++;
    }
}

/* Whether the next characters are these, which are passed over then. */
static bool passes(struct reader *reader, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) {
        return false;
    }
    reader->at += length;
    return true;
}

static bool read_hex(struct reader *reader, uint32_t *code) {
    *code = 0;
    for (int digit = 0; digit < 4; digit++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *found =
            reader->at < reader->end && *reader->at != 0 ? strchr(digits, *reader->at) : NULL;
        if (found == NULL) {
            return false;
        }
        *code = *code << 4 | (uint32_t)((found - digits) % 16);
        reader->at++;
    }
    return true;
}

static void add_utf8(struct buffer *text, uint32_t code) {
    char bytes[4];
    size_t count;
    if (code < 0x80) {
        bytes[0] = (char)code;
        count = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xC0 | code >> 6);
        bytes[1] = (char)(0x80 | (code & 0x3F));
        count = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xE0 | code >> 12);
        bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
        bytes[2] = (char)(0x80 | (code & 0x3F));
        count = 3;
    } else {
        bytes[0] = (char)(0xF0 | code >> 18);
        bytes[1] = (char)(0x80 | (code >> 12 & 0x3F));
        bytes[2] = (char)(0x80 | (code >> 6 & 0x3F));
        bytes[3] = (char)(0x80 | (code & 0x3F));
        count = 4;
    }
    buffer_add(text, bytes, count);
}

static bool read_escape(struct reader *reader, struct buffer *text) {
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;
    if (reader->at >= reader->end || *reader->at == 0) {
        return false;
    }
    const char *letter = strchr(letters, *reader->at);
    if (letter != NULL) {
        buffer_add(text, &meanings[letter - letters], 1);
        reader->at++;
        return true;
    }
    if (!passes(reader, "u") || !read_hex(reader, &code)) {
        return false;
    }
    if (code >= 0xD800 && code < 0xDC00) {
        if (!passes(reader, "\\u") || !read_hex(reader, &low) || low < 0xDC00 || low > 0xDFFF) {
            return false;
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    add_utf8(text, code);
    return true;
}

static bool read_text(struct reader *reader, char **text, size_t *length) {
    struct buffer bytes = {0};
    buffer_add(&bytes, "", 0);
    if (!passes(reader, "\"")) {
        buffer_free(&bytes);
        return false;
    }
    while (reader->at < reader->end && *reader->at != '"') {
        if (*reader->at != '\\') {
            buffer_add(&bytes, reader->at++, 1);
            continue;
        }
        reader->at++;
        if (!read_escape(reader, &bytes)) {
            buffer_free(&bytes);
            return false;
        }
    }
    *text = bytes.bytes;
    *length = bytes.length;
    return passes(reader, "\"");
}

static struct json *add_item(struct json *list) {
    struct json *items = realloc(list->items, (list->count + 1) * sizeof *items);
    CHECK(items != NULL);
    list->items = items;
    items[list->count] = (struct json){0};
    return &items[list->count++];
}

static bool read_items(struct reader *reader, struct json *value, int depth) {
    const char *end = value->kind == JSON_OBJECT ? "}" : "]";
    skip_space(reader);
    if (passes(reader, end)) {
        return true;
    }
    do {
        struct json *item = add_item(value);
        skip_space(reader);
        if (value->kind == JSON_OBJECT) {
            size_t length;
            if (!read_text(reader, &item->name, &length)) {
                return false;
            }
            skip_space(reader);
            if (!passes(reader, ":")) {
                return false;
            }
        }
        if (!read_value(reader, item, depth + 1)) {
            return false;
        }
        skip_space(reader);
    } while (passes(reader, ","));
    return passes(reader, end);
}

static bool read_number(struct reader *reader, struct json *value) {
    struct buffer digits = {0};
    while (reader->at < reader->end && *reader->at != 0 && strchr("+-.eE0123456789", *reader->at) != NULL) {
        buffer_add(&digits, reader->at++, 1);
    }
    value->kind = JSON_NUMBER;
    value->text = digits.bytes;
    value->length = digits.length;
    return digits.length > 0;
}

static bool read_value(struct reader *reader, struct json *value, int depth) {
    if (depth > MAX_DEPTH) {
        return false;
    }
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == '"') {
        value->kind = JSON_TEXT;
        return read_text(reader, &value->text, &value->length);
    }
    if (passes(reader, "{")) {
        value->kind = JSON_OBJECT;
        return read_items(reader, value, depth);
    }
    if (passes(reader, "[")) {
        value->kind = JSON_LIST;
        return read_items(reader, value, depth);
    }
    if (passes(reader, "null")) {
        value->kind = JSON_NULL;
        return true;
    }
    if (passes(reader, "true")) {
        value->kind = JSON_TRUE;
        return true;
    }
    if (passes(reader, "false")) {
        value->kind = JSON_FALSE;
        return true;
    }
    return read_number(reader, value);
}

static void drop_content(struct json *value) {
    for (size_t item = 0; item < value->count; item++) {
        drop_content(&value->items[item]);
    }
    free(value->items);
    free(value->text);
    free(value->name);
}

struct json *json_parse(const char *text, size_t length) {
    struct reader reader = {text, text + length};
    struct json *value = calloc(1, sizeof *value);
    CHECK(value != NULL);
    if (read_value(&reader, value, 0)) {
        skip_space(&reader);
        if (reader.at == reader.end) {
            return value;
        }
    }
    json_free(value);
    return NULL;
}

void json_free(struct json *value) {
    if (value != NULL) {
        drop_content(value);
        free(value);
    }
}

const struct json *json_field(const struct json *object, const char *name) {
    for (size_t item = 0; object->kind == JSON_OBJECT && item < object->count; item++) {
        if (strcmp(object->items[item].name, name) == 0) {
            return &object->items[item];
        }
    }
    return NULL;
}

const struct json *json_need(const struct json *object, const char *name, enum json_kind kind) {
    const struct json *field = json_field(object, name);
    if (field == NULL || field->kind != kind) {
        FAIL("the field %s is missing, or of another kind", name);
    }
    return field;
}

long long json_integer(const struct json *number) {
    CHECK(number->kind == JSON_NUMBER);
    return strtoll(number->text, NULL, 10);
}

/* A text with what it stands for. */
static const char *meant(const struct json *text, size_t *length, json_lookup lookup, void *context) {
    *length = text->length;
    if (lookup == NULL || text->text[0] != '$') {
        return text->text;
    }
    const char *found = lookup(context, text->text + 1);
    if (found == NULL) {
        FAIL("nothing was captured as %s", text->text + 1);
    }
    *length = strlen(found);
    return found;
}

bool json_contains(const struct json *whole, const struct json *part, json_lookup lookup, void *context) {
    if (whole->kind != part->kind) {
        return false;
    }
    switch (part->kind) {
    case JSON_OBJECT:
        for (size_t item = 0; item < part->count; item++) {
            const struct json *found = json_field(whole, part->items[item].name);
            if (found == NULL || !json_contains(found, &part->items[item], lookup, context)) {
                return false;
            }
        }
        return true;
    case JSON_LIST:
        for (size_t item = 0; whole->count == part->count && item < part->count; item++) {
            if (!json_contains(&whole->items[item], &part->items[item], lookup, context)) {
                return false;
            }
        }
        return whole->count == part->count;
    case JSON_TEXT: {
        size_t length;
        const char *text = meant(part, &length, lookup, context);
        return whole->length == length && memcmp(whole->text, text, length) == 0;
    }
    case JSON_NUMBER:
        return strcmp(whole->text, part->text) == 0;
    default:
        return true;
    }
}

static void write_text(struct buffer *out, const char *text, size_t length) {
    buffer_text(out, "\"");
    for (size_t at = 0; at < length; at++) {
        unsigned char byte = (unsigned char)text[at];
        char escaped[8];
        if (byte < 0x20 || byte == '"' || byte == '\\') {
            snprintf(escaped, sizeof escaped, "\\u%04x", byte);
            buffer_text(out, escaped);
        } else {
            buffer_add(out, &text[at], 1);
        }
    }
    buffer_text(out, "\"");
}

void json_write(const struct json *value, struct buffer *out, json_lookup lookup, void *context) {
    static const char *const words[] = {"null", "true", "false"};
    size_t length;
    switch (value->kind) {
    case JSON_TEXT: {
        const char *text = meant(value, &length, lookup, context);
        write_text(out, text, length);
        return;
    }
    case JSON_NUMBER:
        buffer_add(out, value->text, value->length);
        return;
    case JSON_LIST:
    case JSON_OBJECT:
        buffer_text(out, value->kind == JSON_LIST ? "[" : "{");
        for (size_t item = 0; item < value->count; item++) {
            if (item > 0) {
                buffer_text(out, ",");
            }
            if (value->kind == JSON_OBJECT) {
                write_text(out, value->items[item].name, strlen(value->items[item].name));
                buffer_text(out, ":");
            }
            json_write(&value->items[item], out, lookup, context);
        }
        buffer_text(out, value->kind == JSON_LIST ? "]" : "}");
        return;
    default:
        buffer_text(out, words[value->kind]);
    }
}
