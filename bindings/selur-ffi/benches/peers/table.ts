/**
 * The page of a run: reads lines of program, way, payload in bytes, p50 and p99 in nanoseconds from standard input, and
 * prints the tables.
 *
 * @module
 */
interface Figure {
  program: string;
  way: string;
  bytes: number;
  p50: number;
  p99: number;
}

const lines = (await new Response(Deno.stdin.readable).text()).trim().split("\n");
const figures: Figure[] = [];
const stalls: string[] = [];
for (const line of lines) {
  const [program = "", way = "", bytes = "", p50 = "", p99 = ""] = line.split("\t");
  if (program === "stall") stalls.push(`| ${way} | ${bytes} ms | ${p50} ms | ${p99} |`);
  else figures.push({ program, way, bytes: Number(bytes), p50: Number(p50), p99: Number(p99) });
}

const IN_PLACE = "in place, one slot";
const sizes = [...new Set(figures.map((figure) => figure.bytes))].sort((a, b) => a - b);
const find = (program: string, way: string, bytes: number): Figure | undefined =>
  figures.find((figure) => figure.program === program && figure.way === way && figure.bytes === bytes);

const heads = sizes.map((bytes) => `${bytes.toLocaleString("en")} B`);
console.log(`| from | way | ${heads.join(" | ")} |`);
console.log(`|---|---|${"---:|".repeat(sizes.length)}`);
for (const { program, way } of figures.filter((figure, at) => isFirst(figure, at))) {
  const cells = sizes.map((bytes) => {
    const figure = find(program, way, bytes);
    return figure === undefined ? "" : `${time(figure.p50)} (${time(figure.p99)})`;
  });
  console.log(`| ${program} | ${way} | ${cells.join(" | ")} |`);
}

const base = (bytes: number): Figure | undefined => find("Deno", IN_PLACE, bytes);
if (sizes.some((bytes) => base(bytes) !== undefined)) {
  console.log(`\nHow many times as long as a ping from Deno ${IN_PLACE}, by p50:\n`);
  console.log(`| | ${heads.join(" | ")} |`);
  console.log(`|---|${"---:|".repeat(sizes.length)}`);
  for (
    const { program, way } of figures.filter((figure, at) =>
      isFirst(figure, at) && figure.program === "peers"
    )
  ) {
    const cells = sizes.map((bytes) => {
      const [figure, ours] = [find(program, way, bytes), base(bytes)];
      if (figure === undefined || ours === undefined) return "";
      const ratio = figure.p50 / ours.p50;
      return `${ratio.toFixed(ratio < 10 ? 1 : 0)} ×`;
    });
    console.log(`| ${way} | ${cells.join(" | ")} |`);
  }
}

if (stalls.length > 0) {
  console.log(
    "\nThe longest stall of Deno's event loop, while 100 real containers are created, started and deleted:\n",
  );
  console.log("| who does that | median of the runs | longest | each run, in ms |\n|---|---:|---:|---|");
  console.log(stalls.join("\n"));
}

function isFirst(figure: Figure, at: number): boolean {
  return figures.findIndex((other) => other.program === figure.program && other.way === figure.way) === at;
}

function time(nanoseconds: number): string {
  if (nanoseconds < 1000) return `${nanoseconds.toFixed(0)} ns`;
  return `${(nanoseconds / 1000).toFixed(nanoseconds < 10_000 ? 2 : 0)} µs`;
}
