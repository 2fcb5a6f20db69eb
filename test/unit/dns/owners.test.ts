import t from "tap"
import { keptMs, nobody, Owners } from "../../../dns/owners.ts"
import type { Client, Owner } from "../../../dns/owners.ts"
import { ip } from "./messages.ts"

const client = (port: number): Client => ({
  transport: "udp",
  source: { address: ip("192.0.2.7"), port },
  target: null,
})

void t.test("Owners asks once for a socket that asks much, and again later", async (t) => {
  let now = 0
  let asked = 0
  const find = async (): Promise<Owner> => ({ process: null, step: `step ${++asked}` })
  const owners = new Owners(find, () => now, keptMs)
  const first = owners.of(client(1))
  t.equal(owners.of(client(1)), first, "the same promise while it is open")
  t.match(await first, { step: "step 1" })
  t.match(owners.of(client(1)), { step: "step 1" }, "at once when it is known")
  t.match(await owners.of(client(2)), { step: "step 2" })
  now += keptMs
  t.match(await owners.of(client(1)), { step: "step 3" })
})

void t.test("Owners takes whom the guard does not find for nobody", async (t) => {
  const owners = new Owners(() => Promise.reject(new Error("gone")), Date.now, keptMs)
  t.equal(await owners.of(client(1)), nobody)
})

void t.test("Owners bounds what it asks of the guard", async (t) => {
  let asked = 0
  const find = (): Promise<Owner> => {
    asked++
    return new Promise(() => {})
  }
  const owners = new Owners(find, Date.now, keptMs)
  const found = Array.from({ length: 2_000 }, (_, port) => owners.of(client(port)))
  t.equal(asked, 1_024)
  t.equal(found.at(-1), nobody)
  t.equal(await found[0], nobody, "after a second without an answer")
})
