import t from "tap"
import { setTimeout as sleep } from "node:timers/promises"
import { Ledger } from "../../../guard/ledger.ts"
import { idleMs, purses, type Lender } from "../../../guard/purses.ts"
import type { Rule } from "../../../policies/policy.ts"
import type { Purse } from "../../../proxy/relay.ts"
import { rule } from "../proxy/world.ts"

const bounded = (up: number): Rule => ({ ...rule("allowed.test"), up })

/** A guard that lends from a ledger, a turn later. */
function lender(up: number): { readonly lender: Lender; readonly asked: number[]; back: number } {
  const ledger = new Ledger([{ up }])
  const asked: number[] = []
  const made = {
    asked,
    back: 0,
    lender: {
      lease: async (index: number, bytes: number) => {
        asked.push(bytes)
        await sleep(1)
        return ledger.lease(index, bytes) ?? 0
      },
      giveBack: (index: number, bytes: number) => {
        made.back += bytes
        ledger.giveBack(index, bytes)
      },
    },
  }
  return made
}

function purseOf(rules: Rule, of: Lender): Purse {
  const purse = purses([rules], of)(rules)
  if (purse === null) throw new Error("no purse")
  return purse
}

const filled = (purse: Purse, bytes: number): Promise<boolean> =>
  new Promise((resolve) => purse.fill(bytes, resolve))

void t.test("purses() gives none for rules without a budget", async (t) => {
  const purse = purses([rule("allowed.test")], lender(1).lender)
  t.equal(purse(rule("allowed.test")), null)
  t.equal(purse(null), null)
  const unknown = purse(bounded(5))
  t.equal(unknown?.take(1), false, "a budget that nobody knows is empty")
  t.equal(unknown === null || (await filled(unknown, 1)), false)
})

void t.test("a purse has nothing before the guard has lent, and then the lease", async (t) => {
  const { lender: guard, asked } = lender(8_000)
  const purse = purseOf(bounded(8_000), guard)
  t.equal(purse.take(1), false)
  t.equal(await filled(purse, 800), true)
  t.equal(purse.take(900), true, "an eighth of the rest came with it")
  t.equal(purse.take(1), false)
  t.same(asked, [800])
})

void t.test("a purse never gives out more than the budget", async (t) => {
  const { lender: guard } = lender(1_000)
  const purse = purseOf(bounded(1_000), guard)
  let sent = 0
  for (let n = 0; n < 40; n++) {
    if (purse.take(100) || (await filled(purse, 100))) sent += 100
    else break
  }
  t.equal(sent, 1_000)
  t.equal(purse.take(1), false)
})

void t.test("a purse serves those who wait in their order", async (t) => {
  const { lender: guard } = lender(10_000)
  const purse = purseOf(bounded(10_000), guard)
  const order: string[] = []
  const big = filled(purse, 5_000).then((taken) => order.push(`big ${taken}`))
  t.equal(purse.take(1), false, "nobody goes past one who waits")
  const small = filled(purse, 10).then((taken) => order.push(`small ${taken}`))
  await Promise.all([big, small])
  t.same(order, ["big true", "small true"])
})

void t.test("a purse gives back what nobody spends, for others", async (t) => {
  const made = lender(1_000)
  const rules = bounded(1_000)
  const [one, other] = [purseOf(rules, made.lender), purseOf(rules, made.lender)]
  t.equal(await filled(one, 100), true)
  t.equal(await filled(other, 900), true, "refused at first, because one of them holds an eighth")
  t.equal(made.back, 112)
  t.equal(await filled(other, 1), false)
})

void t.test("a purse in use keeps its lease", async (t) => {
  const made = lender(80_000)
  const purse = purseOf(bounded(80_000), made.lender)
  t.equal(await filled(purse, 8_000), true)
  for (let n = 0; n < 8; n++) {
    await sleep(idleMs / 4)
    t.equal(purse.take(1), true)
  }
  t.equal(made.back, 0)
})

void t.test("a purse whose guard is gone stays empty", async (t) => {
  const gone: Lender = { lease: () => Promise.reject(new Error("gone")), giveBack: () => {} }
  t.equal(await filled(purseOf(bounded(10), gone), 1), false)
})
