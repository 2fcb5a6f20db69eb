import t from "tap"
import { fc } from "../../property.ts"
import { Ledger } from "../../../guard/ledger.ts"

const none = { up: null }

t.test("Ledger lends what a rule has, and no more", (t) => {
  const ledger = new Ledger([none, { up: 100 }, { up: 8_000_000 }])
  t.equal(ledger.lease(0, 1), null, "a rule without a budget")
  t.equal(ledger.lease(3, 1), null, "no rule")
  t.equal(ledger.lease(-1, 1), null)
  t.equal(ledger.lease(1, 0), null, "nothing")
  t.equal(ledger.lease(1, 101), 0, "more than there is")
  t.equal(ledger.lease(1, 20), 30, "a tenth of the rest beside")
  t.equal(ledger.lease(1, 70), 70, "all of it")
  t.equal(ledger.lease(1, 1), 0)
  t.equal(ledger.lease(2, 1), 1 + 999_999, "an eighth, and a mebibyte at most")
  t.end()
})

t.test("Ledger takes back what was lent, and no more", (t) => {
  const ledger = new Ledger([{ up: 100 }])
  t.equal(ledger.giveBack(0, 1), false, "nothing was lent")
  t.equal(ledger.giveBack(1, 1), false, "no rule")
  const lent = ledger.lease(0, 50) ?? 0
  t.equal(ledger.giveBack(0, lent + 1), false)
  t.equal(ledger.giveBack(0, lent - 10), true)
  t.equal(ledger.lease(0, 91), 0, "ten are spent")
  t.equal(ledger.lease(0, 90), 90)
  t.end()
})

t.test("Ledger: what is spent is never more than the budget, whoever asks and gives back", (t) => {
  const move = fc.record({ ask: fc.boolean(), bytes: fc.integer({ min: 1, max: 3_000_000 }) })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9_000_000 }), fc.array(move), (up, moves) => {
      const ledger = new Ledger([{ up }])
      let held = 0
      for (const { ask, bytes } of moves) {
        if (!ask) {
          if (ledger.giveBack(0, bytes)) held -= bytes
          continue
        }
        const granted = ledger.lease(0, bytes) ?? 0
        if (granted !== 0 && granted < bytes) return false
        held += granted
      }
      return held >= 0 && held <= up
    }),
    { numRuns: 500, seed: 1 },
  )
  t.end()
})
