import t from "tap"
import { ask, managerNames } from "../../../managers/ask.ts"
import { machine } from "./machine.ts"

t.test("ask() knows every manager it names, and no other", async (t) => {
  for (const name of managerNames()) t.same(ask(name, machine({}))?.notes, [], name)
  t.equal(ask("nope", machine({})), null)
  t.equal(ask("constructor", machine({})), null)
})

t.test("ask() says that a proxy of the environment is not allowed, and not which", async (t) => {
  const found = ask("npm", machine({}, { HTTPS_PROXY: "http://u:s3cret@proxy.example.com:3128" }))
  t.same(found?.places, [])
  t.match(found?.notes, [/^HTTPS_PROXY sends/])
  t.notMatch(JSON.stringify(found), /s3cret|proxy\.example/)
})
