/**
 * What never reaches a line of the log: credentials, wherever they stand. Pure.
 *
 * Text is cut by shape (tokens of known makers, private keys, random-looking strings), by place
 * (after `--password`, `Authorization:`, `TOKEN=`; before the `@` of a URL) and, in a query, always.
 * What people need to find their way stays: commit ids, SHA digests, versions, UUIDs, and the names
 * of a DNS tunnel as far as they do not spell a token. Cutting what is cut already changes nothing.
 *
 * Every expression here runs in time linear in its input: each begins with a literal or a look at
 * one character, and repeats one class or a bounded number of times. The input is cut to
 * `textCharactersMax` first.
 *
 * It will not find a secret that has no shape and no name: `mytool hunter2` stays as it is.
 */
import type { Process, Program } from "../flows/flow.ts"
import type { EventBody } from "./event.ts"
import { hostHidesToken, tokens, tokenStart } from "./tokens.ts"

/** Stands where something was cut. The prefix that tells whose token it was stays in front of it. */
export const cut = "***"

/** Longest text that is looked at, in characters; what is beyond is dropped. Linux allows 128 KiB for one argument (execve(2)). */
export const textCharactersMax = 64 * 1024

/** Names whose value is a secret. The short ones only as words of their own. */
const secretName =
  "(?:token|secret|passw(?:or)?d|passphrase|passcode|api[_-]?key|access[_-]?key|account[_-]?key|" +
  "private[_-]?key|signing[_-]?key|encryption[_-]?key|auth[_-]?key|credentials?|session[_-]?id|" +
  "(?<![a-z])(?:pass|sig|sas|otp)(?![a-z])|[_-](?:pwd|auth)(?![a-z]))"

/** `--token-file`, `tokenizers`, `secretName`: near a secret's name, but what follows is none. */
const harmlessSuffix =
  /^[_-]?(?:files?|path|dir|url|uri|type|name|id|ids|count|limit|length|ttl|expir|iz|is|version|scope|permission|endpoint|host|provider|env|src|source|store|helper|manager)/i

/** Values that only refer to a secret, or say something about it. */
const harmlessValue =
  /^(?:$|true$|false$|null$|none$|yes$|no$|read$|write$|inherit$|required$|id=|\$\(|\$\{|\$[A-Z_][A-Z0-9_]*$|%[A-Z_]+%$)/

const value = `("[^"\\r\\n]*"?|'[^'\\r\\n]*'?|[^\\s"'&;,|<>()]+)`

const privateKey =
  /(-----BEGIN[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)(?!\*\*\*)[\s\S]*?(?:-----END[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g
const credentialHeader =
  /(?<![a-z])((?:proxy-)?authorization|(?:set-)?cookie)(["']?[ \t]{0,4}[:=][ \t]{0,4}["']?)[^\r\n"']+/gi
const scheme = /(?<![a-z0-9])(bearer|basic)([ \t]{1,4})([a-z0-9._~+/=*-]{8,})/gi
const named = new RegExp(
  `(${secretName})([\\w-]{0,40})(["']?[ \\t]{0,4}[:=]{1,3}[ \\t]{0,4})${value}`,
  "gi",
)
const flagged = new RegExp(
  `(--?[\\w-]{0,32}${secretName})([\\w-]{0,40})([ \\t]{1,4})${value}`,
  "gi",
)
const flagAlone = new RegExp(`^--?[\\w-]{0,32}${secretName}([\\w-]{0,40})$`, "i")
const user = /(?<![\w-])(-u|--user|--proxy-user)([ =]{0,3}["']?[^\s:/"'=]{1,128}:)([^\s"']+)/g
const passwordOption =
  /(\bsshpass[ \t]{1,4}-p|\blogin\b[^\n;|&]{0,200}?[ \t]-p)([ \t]{0,4})([^\s]+)/g
const userInfo = /:\/\/[^\s/?#@"'<>]*@/g
const query = /([?&][\w.~%[\]$-]{1,128}=)[^&\s"'#<>]+/g
const webhook = /(\/services\/T[A-Z0-9]{6,32}\/B[A-Z0-9]{6,32}\/)[A-Za-z0-9]{16,}/g
const longRun = /(?<![A-Za-z0-9_+/=-])[A-Za-z0-9_+/=-]{32,}/g

/** How often a text is gone over, so that what one cut uncovers is cut too. */
const roundsMax = 6

/** The text without credentials. At most `textCharactersMax` characters. */
export const redactText = remembered(withoutCredentials)

/** How many short texts are remembered, and how long they may be: 4 MiB at most for each function. */
const rememberedMax = 8192
const rememberedCharactersMax = 512

/** The same pure function, which knows its last answers: a build names the same things over and over. */
function remembered(answer: (text: string) => string): (text: string) => string {
  const known = new Map<string, string>()
  return (text) => {
    if (text.length > rememberedCharactersMax) return answer(text)
    let result = known.get(text)
    if (result === undefined) {
      result = answer(text)
      if (known.size >= rememberedMax) known.clear()
      known.set(text, result)
    }
    return result
  }
}

function withoutCredentials(text: string): string {
  let now = text.length > textCharactersMax ? text.slice(0, textCharactersMax) : text
  for (let round = 0; round < roundsMax; round++) {
    const next = redactOnce(now).slice(0, textCharactersMax)
    if (next === now) break
    now = next
  }
  return now
}

function redactOnce(text: string): string {
  let now = text
  if (now.includes("-----BEGIN")) now = now.replace(privateKey, `$1${cut}`)
  if (now.includes("://")) now = now.replace(userInfo, `://${cut}@`)
  now = now
    .replace(credentialHeader, `$1$2${cut}`)
    .replace(scheme, (all, name: string, space: string, value: string) =>
      /^[a-z-]+$/.test(value) ? all : `${name}${space}${cut}`,
    )
    .replace(named, cutValue)
    .replace(flagged, cutValue)
    .replace(user, (all, flag: string, name: string, secret: string) =>
      /^\d+$/.test(secret) ? all : `${flag}${name}${cut}`,
    )
    .replace(passwordOption, `$1$2${cut}`)
  return cutTokens(now)
    .replace(webhook, `$1${cut}`)
    .replace(longRun, cutRandom)
    .replace(query, "$1*")
}

function cutTokens(text: string): string {
  return text.replace(tokens, (all) => `${tokenStart(all)}${cut}`)
}

function cutValue(
  all: string,
  name: string,
  suffix: string,
  between: string,
  value: string,
): string {
  const quote = value.startsWith('"') ? '"' : value.startsWith("'") ? "'" : ""
  const bare = quote === "" ? value : value.slice(1).replace(quote, "")
  if (harmlessSuffix.test(suffix) || harmlessValue.test(bare)) return all
  return `${name}${suffix}${between}${quote}${cut}${quote}`
}

/** A run of characters that may be a secret in base64: cut where it looks like chance. */
function cutRandom(run: string, offset: number, text: string): string {
  if (
    /^sha\d{1,3}-/i.test(run) ||
    /(?:sha\d{1,3}|h1):$/i.test(text.slice(Math.max(0, offset - 8), offset))
  )
    return run
  if (looksRandom(run) && (!run.includes("/") || run.length === awsSecretLength)) return cut
  return run
    .split("/")
    .map((piece) => (piece.length >= 32 && looksRandom(piece) ? cut : piece))
    .join("/")
}

/** A secret access key of AWS is 40 characters of base64, slashes included. */
const awsSecretLength = 40

/**
 * Whether upper case, lower case and digits alternate as they do by chance (two of three neighbours
 * differ), and not as in words. Hex digits, UUIDs and lower-case base32 are no secrets by this test.
 */
function looksRandom(run: string): boolean {
  const counts = [0, 0, 0]
  let changes = 0
  let letters = 0
  let last = -1
  for (let index = 0; index < run.length; index++) {
    const kind = kindOf(run.charCodeAt(index))
    if (kind === -1) continue
    letters++
    counts[kind] = (counts[kind] ?? 0) + 1
    if (last !== -1 && kind !== last) changes++
    last = kind
  }
  return counts.every((count) => count >= 1) && changes >= letters * 0.4
}

/** 0: digit, 1: upper case, 2: lower case, -1: another character. */
function kindOf(code: number): number {
  if (code >= 48 && code <= 57) return 0
  if (code >= 65 && code <= 90) return 1
  return code >= 97 && code <= 122 ? 2 : -1
}

/**
 * A program's arguments without credentials: as redactText, and an argument that stands after a
 * flag such as `--password` is cut as a whole.
 */
export function redactArguments(argv: readonly string[]): readonly string[] {
  const program = argv[0]?.split("/").pop() ?? ""
  return argv.map((argument, index) => {
    const before = index === 0 ? "" : (argv[index - 1] ?? "")
    if (index > 0 && isSecretAfter(before, argument, program, argv)) return cut
    if (index > 0 && /^(?:-u|--user|--proxy-user)$/.test(before)) return redactUser(argument)
    return redactText(argument)
  })
}

function isSecretAfter(
  before: string,
  argument: string,
  program: string,
  argv: readonly string[],
): boolean {
  if (argument.startsWith("--")) return false
  const suffix = flagAlone.exec(before)?.[1]
  if (suffix !== undefined) return !harmlessSuffix.test(suffix) && !argument.startsWith("id=")
  if (before === "-p") return program === "sshpass" || argv.includes("login")
  return program === "curl" && /^(?:-b|--cookie|--oauth2-bearer)$/.test(before)
}

/** `name:password`, but not the `uid:gid` of a container's user. */
function redactUser(argument: string): string {
  const colon = argument.indexOf(":")
  if (colon === -1 || /^\d+:\d+$/.test(argument)) return redactText(argument)
  return `${redactText(argument.slice(0, colon))}:${cut}`
}

/**
 * A host name without token-shaped labels: `ghp_0123….evil.test` becomes `ghp_***.evil.test`. Other
 * labels stay, however long: a person must see that it is a tunnel, and to where.
 */
export const redactHost = remembered(hostWithoutTokens)

function hostWithoutTokens(host: string): string {
  const labels = host.slice(0, textCharactersMax).split(".")
  const kept = labels.map((label) => cutTokens(label))
  // What follows a label that was cut, down to the last two, is its continuation if it is long.
  for (let index = 1; index < labels.length - 2; index++) {
    const before = kept[index - 1] ?? ""
    if (before.endsWith(cut) && /^[\w+/=-]{8,}$/.test(labels[index] ?? "")) kept[index] = cut
  }
  // Why twice: where a label was cut, the next one begins anew and may now have a token's shape.
  for (const index of [...hostHidesToken(labels), ...hostHidesToken(kept)]) {
    if (kept[index] === labels[index]) kept[index] = `${(labels[index] ?? "").slice(0, 4)}${cut}`
  }
  return kept.join(".")
}

/**
 * A path with or without a query: token-shaped text cut from the segments (percent-encoded text
 * included), names of the query kept, each value `*`.
 */
export const redactPath = remembered(pathWithoutSecrets)

function pathWithoutSecrets(pathWithQuery: string): string {
  const bounded = pathWithQuery.slice(0, textCharactersMax)
  const mark = bounded.indexOf("?")
  const path = mark === -1 ? bounded : bounded.slice(0, mark)
  const kept = redactText(path)
    .split("/")
    .map((segment) => (hidesToken(segment) ? cut : segment))
    .join("/")
  return mark === -1 ? kept : `${kept}?${redactQuery(bounded.slice(mark + 1))}`
}

function redactQuery(query: string): string {
  return query
    .split("&")
    .map((pair) => {
      const equals = pair.indexOf("=")
      const name = equals === -1 ? pair : pair.slice(0, equals)
      if (redactText(name) !== name || hidesToken(name)) return equals === -1 ? "*" : "*=*"
      if (equals !== -1) return equals === pair.length - 1 ? pair : `${name}=*`
      return /^[\w.~[\]-]{0,40}$/.test(name) ? name : "*"
    })
    .join("&")
}

/** Whether percent-encoded text spells something that redactText cuts. */
function hidesToken(segment: string): boolean {
  let now = segment
  for (let round = 0; round < 3 && now.includes("%"); round++) {
    const next = now.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    if (next === now) return false
    now = next
    if (redactText(now) !== now) return true
  }
  return false
}

const processes = new WeakMap<Process, Process>()

/** The same process with its arguments and paths redacted and bounded; remembered as long as it lives. */
export function redactProcess(process: Process): Process {
  const known = processes.get(process)
  if (known !== undefined) return known
  const ancestors = process.ancestors.slice(0, ancestorsMax)
  const made = {
    ...redactProgram(process, argumentsCharactersMax),
    ancestors: ancestors.map((each) => redactProgram(each, ancestorCharactersMax)),
  }
  processes.set(process, made)
  processes.set(made, made)
  return made
}

/** Most ancestors that a line shows. */
const ancestorsMax = 32

/** Characters of the arguments of the program itself, and of each ancestor. */
const argumentsCharactersMax = 8192
const ancestorCharactersMax = 1024

/** Longest path that Linux takes (PATH_MAX in linux/limits.h). */
const pathCharactersMax = 4096

function redactProgram(program: Program, charactersMax: number): Program {
  return {
    pid: program.pid,
    executable: redactText(program.executable.slice(0, pathCharactersMax)),
    arguments: bounded(
      redactArguments(bounded(program.arguments, textCharactersMax)),
      charactersMax,
    ),
  }
}

/** As many of the texts as fit; the last one may be shortened. */
function bounded(texts: readonly string[], charactersMax: number): readonly string[] {
  const kept: string[] = []
  let room = charactersMax
  for (const text of texts) {
    if (room <= 0) return [...kept, "…"]
    kept.push(text.length > room ? `${text.slice(0, room)}…` : text)
    // One more, so that empty texts take room as well.
    room -= text.length + 1
  }
  return kept
}

/** The body as it may be written. The log calls it for every event, so that nobody can forget. */
export function redactEvent(body: EventBody): EventBody {
  switch (body.kind) {
    case "run-started":
      return { ...body, context: redactContext(body.context) }
    case "name":
      return {
        ...body,
        name: redactHost(body.name),
        ...(body.aliases === undefined ? {} : { aliases: body.aliases.map(redactHost) }),
        process: processOf(body.process),
      }
    case "flow":
      return {
        ...body,
        names: body.names.map(redactHost),
        opening:
          body.opening === null
            ? null
            : {
                ...body.opening,
                serverName:
                  body.opening.serverName === null ? null : redactHost(body.opening.serverName),
              },
        process: processOf(body.process),
        ...(body.detail === undefined ? {} : { detail: redactText(body.detail) }),
      }
    case "request": {
      const host = redactHost(body.host)
      const path = redactPath(body.path)
      return host === body.host && path === body.path ? body : { ...body, host, path }
    }
    case "finding":
      return { ...body, summary: redactText(body.summary), process: processOf(body.process) }
    default:
      return body
  }
}

function processOf(process: Process | null): Process | null {
  return process === null ? null : redactProcess(process)
}

function redactContext(
  context: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(context).map(([key, text]) => [key, redactText(text)]))
}
