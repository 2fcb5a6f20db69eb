import t from "tap"
import { minted } from "../../../certs/minted.ts"

interface Made {
  readonly name: string
  readonly count: number
}

/** Counts how often something was made. */
function mint(namesMax: number, keptMs = 60_000) {
  let count = 0
  const give = minted<string, Made>((name) => Promise.resolve({ name, count: ++count }), {
    namesMax,
    keptMs,
  })
  return { give, made: () => count }
}

t.test("minted() makes a name once, however many ask", async (t) => {
  const { give, made } = mint(4)
  const all = await Promise.all([give("a.test"), give("a.test"), give("a.test")])
  t.equal(new Set(all).size, 1)
  t.equal(await give("a.test"), all[0])
  t.equal(made(), 1)
})

t.test("minted() keeps no more than it may, and lets the longest unused go first", async (t) => {
  const { give, made } = mint(2)
  await give("a.test")
  await give("b.test")
  await give("a.test")
  await give("c.test")
  t.equal(made(), 3)
  await give("a.test")
  t.equal(made(), 3, "a was used last")
  await give("b.test")
  t.equal(made(), 4, "b was let go")
})

t.test("minted() makes a name anew once its time is over", async (t) => {
  const { give, made } = mint(2, 5)
  await give("a.test")
  await new Promise((resolve) => setTimeout(resolve, 20))
  await give("a.test")
  t.equal(made(), 2)
})

t.test("minted() does not keep what failed", async (t) => {
  let tries = 0
  const give = minted<string, Made>(
    (name) => {
      tries++
      return tries === 1 ? Promise.reject(new Error("no")) : Promise.resolve({ name, count: tries })
    },
    { namesMax: 2, keptMs: 60_000 },
  )
  await t.rejects(give("a.test"))
  t.match(await give("a.test"), { count: 2 })
})
