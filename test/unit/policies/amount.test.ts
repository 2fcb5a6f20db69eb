import t from "tap"
import { fc } from "../../property.ts"
import { parseAmount, printAmount } from "../../../policies/amount.ts"

void t.test("parseAmount() reads whole numbers with a unit", async (t) => {
  const table: [string, number | RegExp][] = [
    ["1B", 1],
    ["10MB", 10_000_000],
    ["10 MB", 10_000_000],
    [" 10MB ", 10_000_000],
    ["1kB", 1_000],
    ["1KB", 1_000],
    ["1KiB", 1_024],
    ["3MiB", 3_145_728],
    ["2GB", 2_000_000_000],
    ["2GiB", 2_147_483_648],
    ["007B", 7],
    ["1000000GB", 1e15],
    ["1000001GB", /is too much, must be 1000000GB at most/],
    ["999999999999999GiB", /is too much/],
    ["1000000000000000000MB", /must be a whole number/],
    ["0MB", /lets nothing out, must be 1B at least/],
    ["10", /has no unit, must be `10B`/],
    ["10mb", /has the unit "mb", must be `10MB` \(case matters\)/],
    ["10M", /must be `10MB`/],
    ["10k", /must be `10kB`/],
    ["10gib", /must be `10GiB`/],
    ["10TB", /has the unit "TB", must be a whole number/],
    ["1.5MB", /must be a whole number/],
    ["-1MB", /must be a whole number/],
    ["1e3B", /must be a whole number/],
    ["MB", /must be a whole number/],
    ["", /must be a whole number/],
    ["10  MB", /must be a whole number/],
    ["10MB/s", /must be a whole number/],
    ["１０MB", /must be a whole number/],
  ]
  for (const [text, wanted] of table) {
    const read = parseAmount(text)
    if (typeof wanted === "number") t.equal(read, wanted, text)
    else t.match(typeof read === "number" ? String(read) : read.fault, wanted, text)
  }
})

void t.test("parseAmount() of what printAmount() writes is the same amount", async (t) => {
  const amount = fc.oneof(
    fc.integer({ min: 1, max: 1e15 }),
    fc
      .tuple(
        fc.integer({ min: 1, max: 999 }),
        fc.constantFrom(1e3, 1e6, 1e9, 1024, 2 ** 20, 2 ** 30),
      )
      .map(([count, size]) => count * size),
  )
  fc.assert(
    fc.property(amount, (bytes) => parseAmount(printAmount(bytes)) === bytes),
    { numRuns: 500, seed: 1 },
  )
  t.equal(printAmount(10_000_000), "10MB")
  t.equal(printAmount(262_144), "256KiB")
  t.equal(printAmount(1_001), "1001B")
})
