/** Rows 64, 74 and 84: doors of the machine, not of the network. Its own files are the oracle. */
import { execFileSync } from "node:child_process"
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import t from "tap"
import { canary, guarded, labFor, whyNoLab } from "./harness.ts"

const skip = whyNoLab() ?? false

t.test("doors", { skip, timeout: 120_000 }, async (t) => {
  const lab = await labFor(t, {})
  const allow = ["allowed.test"]

  await t.test("row 74: a daemon's socket, wherever below /run it listens", async (t) => {
    const directory = mkdtempSync("/run/sluice-test-")
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const path = join(directory, "daemon.sock")
    let heard = ""
    const server = createServer((socket) => socket.on("data", (bytes) => (heard += String(bytes))))
    await new Promise<void>((listening) => server.listen(path, listening))
    t.teardown(() => server.close())
    writeFileSync(join(directory, "beside"), "still here\n")
    const say = (word: string): string[] => [
      "python3",
      "-c",
      `import socket,sys
print(open("${directory}/beside").read())
s=socket.socket(socket.AF_UNIX); s.connect("${path}"); s.send(b"${word}")`,
    ]
    const free = canary()
    await lab.run(say(free))
    t.match(heard, free, "is heard without a firewall")
    const caught = canary()
    const { stdout } = await guarded(lab, { mode: "block", allow }, say(caught))
    t.match(stdout, /still here/, "what lies beside it is there")
    t.notMatch(heard, caught, "is not heard from the job")
    const kept = canary()
    await guarded(lab, { mode: "block", allow, options: ["--allow-socket", path] }, say(kept))
    t.match(heard, kept, "is heard where the user says so")
  })

  await t.test("row 84: a device that root makes opens for nobody", async (t) => {
    // The null device's number stands for a disk's: where this one does not open, none does.
    const make = (folder: string): string[] => [
      "sh",
      "-c",
      `mknod ${folder}/sluice-test c 1 3 && echo x >${folder}/sluice-test && echo opened; rm -f ${folder}/sluice-test; echo x >/dev/null && echo usual`,
    ]
    t.match((await lab.run(make("/dev"))).stdout, "opened\nusual\n", "without a firewall it does")
    for (const folder of ["/dev", "/dev/shm", "/tmp", "/run"]) {
      const { stdout } = await guarded(lab, { mode: "block", allow }, make(folder))
      t.equal(stdout, "usual\n", folder)
    }
  })

  await t.test("row 84: the machine's processes, through another /proc", async (t) => {
    const other = mkdtempSync(join(lab.directory, "proc-"))
    execFileSync("mount", ["-t", "proc", "proc", other])
    t.teardown(() => execFileSync("umount", [other]))
    const look = ["sh", "-c", `ls ${other} | grep -c sys; ls ${other}/${process.pid}/root/etc`]
    t.match((await lab.run(look)).stdout, "hostname", "without a firewall they are seen")
    const { stdout } = await guarded(lab, { mode: "block", allow }, look)
    t.equal(stdout, "0\n", "nothing of it is there")
  })

  await t.test("row 84: the log of the run, in the hands of root in the job", async (t) => {
    const log = join(lab.directory, "sealed.jsonl")
    const spoil = `cat ${log} >/dev/null && echo seen; (echo x >>${log}) || rm -f ${log} || mv ${log} ${log}.2 || ln -f /dev/null ${log} || echo kept`
    const argv = lab.guarded(["--quiet", "--events", log], ["sh", "-c", spoil])
    const { stdout } = await lab.run(argv)
    t.match(stdout, "seen\nkept\n")
    const lines = readFileSync(log, "utf8").trimEnd().split("\n")
    t.match(lines.at(-1), "run-ended")
  })

  await t.test("row 64: a descriptor of whoever started Sluice", async (t) => {
    const file = join(lab.directory, "inherited")
    const word = canary()
    const show = (argv: readonly string[]): string => {
      const script = `exec 50>>${file} 7>&50; exec "$@"`
      return execFileSync("bash", ["-c", script, "bash", ...argv], { encoding: "utf8" })
    }
    const tell = ["bash", "-c", `for fd in 7 50; do echo ${word} >&$fd; done 2>/dev/null; true`]
    closeSync(openSync(file, "w"))
    show(tell)
    t.match(readFileSync(file, "utf8"), word, "is there without a firewall")
    writeFileSync(file, "")
    const log = join(lab.directory, "inherited.jsonl")
    show(lab.guarded(["--quiet", "--events", log], tell))
    t.equal(readFileSync(file, "utf8"), "", "is not handed to the job")
    t.ok(existsSync(log), "the job ran")
  })
})
