import t from "tap"
import { distance, resembling, unknownCommand, usage } from "../../../cli/usage.ts"

const commands = [
  { name: "run", does: "Runs a command." },
  { name: "report", does: "Says what happened." },
  { name: "policy", does: "Checks a policy." },
]
const names = commands.map(({ name }) => name)

t.test("usage() names every command with what it does", (t) => {
  for (const { name, does } of commands) t.match(usage(commands), `${name.padEnd(6)}  ${does}`)
  t.ok(
    usage(commands)
      .split("\n")
      .every((line) => line.length <= 90),
  )
  t.end()
})

t.test("resembling() finds the command that was meant, and none where none was", (t) => {
  const cases: readonly (readonly [string, string | null])[] = [
    ["rnu", "run"],
    ["rum", "run"],
    ["RUN", "run"],
    ["rep", "report"],
    ["reprot", "report"],
    ["polcy", "policy"],
    ["r", null],
    ["status", null],
    ["", null],
    ["r".repeat(10_000), null],
  ]
  for (const [word, wanted] of cases) t.equal(resembling(word, names), wanted, word.slice(0, 20))
  t.end()
})

t.test("distance() counts a swap of two letters as one slip", (t) => {
  t.equal(distance("rnu", "run"), 1)
  t.equal(distance("", "run"), 3)
  t.equal(distance("run", "run"), 0)
  t.equal(distance("kitten", "sitting"), 3)
  t.end()
})

t.test("unknownCommand() repeats no control character and no endless word", (t) => {
  t.notMatch(unknownCommand("\u001b[2J", commands), "\u001b")
  t.ok(unknownCommand("x".repeat(100_000), commands).length < 300)
  t.match(unknownCommand("rnu", commands), "Did you mean: sluice run\n")
  t.end()
})
