import t from "tap"
import { Budget, defaultLimits } from "../../../dns/budget.ts"
import { parseHostname, parsePattern } from "../../../net/hostname.ts"
import type { Hostname } from "../../../net/hostname.ts"
import type { Rule } from "../../../policies/policy.ts"

const host = (text: string): Hostname => {
  const name = parseHostname(text)
  if (name === null) throw new Error(`Cannot read name "${text}"`)
  return name
}

function ruleFor(text: string): Rule {
  const pattern = parsePattern(text)
  if (pattern === null) throw new Error(`Cannot read pattern "${text}"`)
  return {
    effect: "allow",
    target: {
      kind: "host",
      host: pattern,
      ports: { first: 443, last: 443 },
      transport: "tcp",
    },
    by: null,
    step: null,
    token: null,
    up: null,
    wide: false,
    origin: { source: "policy", line: 1, column: 1, text },
  }
}

/** How many of a row of names pass. */
function passing(count: number, nameOf: (index: number) => string, rule: Rule | null): number {
  const budget = new Budget()
  let passed = 0
  for (let n = 0; n < count; n++) if (budget.spend(host(nameOf(n)), rule, 0)) passed++
  return passed
}

const labelOf = (n: number, length: number): string => `${n}x`.padEnd(length, "q")

void t.test("Budget lets no real build down", async (t) => {
  const wildcard = ruleFor("*.allowed.test")
  t.equal(
    passing(100, (n) => `host${n}.allowed.test`, wildcard),
    100,
  )
  const exact = ruleFor("allowed.test")
  t.equal(
    passing(5_000, () => "allowed.test", exact),
    5_000,
  )
})

void t.test("Budget ends a tunnel through an allowed wildcard", async (t) => {
  const wildcard = ruleFor("*.allowed.test")
  const passed = passing(200, (n) => `${labelOf(n, 32)}.allowed.test`, wildcard)
  t.ok(passed <= 64, `${passed} names of 32 characters`)
  const long = passing(200, (n) => `${labelOf(n, 63)}.allowed.test`, wildcard)
  t.ok(long * 63 <= 2_100, `${long} names of 63 characters`)
  const deep = ruleFor("**.allowed.test")
  t.equal(
    passing(10, (n) => `${labelOf(n, 63)}.${labelOf(n, 63)}.${n}.allowed.test`, deep),
    0,
    "a name that is longer than any honest one is refused outright",
  )
})

void t.test("Budget ends a tunnel whose labels nobody could register", async (t) => {
  const rule = ruleFor("*.allowed.test")
  for (const nameOf of [
    (n: number) => `${labelOf(n, 32)}-.allowed.test`,
    (n: number) => `-${labelOf(n, 32)}.allowed.test`,
    (n: number) => `_${labelOf(n, 32)}.allowed.test`,
  ]) {
    t.ok(passing(200, nameOf, rule) <= 64, nameOf(0))
  }
})

void t.test("Budget counts all wildcards over one registrable domain together", async (t) => {
  const budget = new Budget()
  const rules = [ruleFor("*.a.allowed.test"), ruleFor("*.b.allowed.test")]
  let passed = 0
  for (let n = 0; n < 400; n++) {
    const zone = n % 2 === 0 ? "a" : "b"
    if (budget.spend(host(`n${n}.${zone}.allowed.test`), rules[n % 2] ?? null, 0)) passed++
  }
  t.equal(passed, defaultLimits.unitsMax)
  t.ok(budget.spend(host("n1.other.test"), ruleFor("*.other.test"), 0), "others have their own")
})

void t.test("Budget charges nothing for a name that was paid for", async (t) => {
  const budget = new Budget()
  const wildcard = ruleFor("*.allowed.test")
  let passed = 0
  for (let n = 0; n < 1_000; n++) if (budget.spend(host("a.allowed.test"), wildcard, 0)) passed++
  t.equal(passed, 1_000)
})

void t.test("Budget gives units back slowly", async (t) => {
  const budget = new Budget()
  const wildcard = ruleFor("*.allowed.test")
  for (let n = 0; n < 500; n++) budget.spend(host(`n${n}.allowed.test`), wildcard, 0)
  t.notOk(budget.spend(host("m1.allowed.test"), wildcard, defaultLimits.unitMs - 1))
  t.ok(budget.spend(host("m1.allowed.test"), wildcard, defaultLimits.unitMs))
  t.notOk(budget.spend(host("m2.allowed.test"), wildcard, defaultLimits.unitMs))
})

void t.test("Budget takes a name whose rule is not known for one under a wildcard", async (t) => {
  t.equal(
    passing(500, (n) => `n${n}.allowed.test`, null),
    defaultLimits.unitsMax,
  )
})

void t.test("Budget.mayAsk() bounds the questions for one name", async (t) => {
  const budget = new Budget()
  let asked = 0
  for (let n = 0; n < 3_000; n++) if (budget.mayAsk(host("allowed.test"), 0)) asked++
  t.equal(asked, defaultLimits.questionsMax)
  t.ok(budget.mayAsk(host("allowed.test"), defaultLimits.questionMs))
  t.ok(budget.mayAsk(host("other.test"), 0))
})

void t.test("Budget.mayAsk() bounds what the order of paid names can say", async (t) => {
  const budget = new Budget()
  const wildcard = ruleFor("*.allowed.test")
  const names = Array.from({ length: 100 }, (_, n) => host(`n${n}.allowed.test`))
  for (const name of names) budget.spend(name, wildcard, 0)
  let asked = 0
  for (let n = 0; n < 20; n++) for (const name of names) if (budget.mayAsk(name, 0)) asked++
  t.equal(asked, defaultLimits.domainQuestionsMax)
  t.notOk(budget.mayAsk(host("n1.allowed.test"), defaultLimits.domainQuestionMs - 1))
  t.ok(budget.mayAsk(host("n1.allowed.test"), defaultLimits.domainQuestionMs))
})
