/**
 * The job's own tokens, as the gate knows them: by keyed hashes. The guard alone holds the tokens.
 *
 * The gate meets hostile bytes, and must not be worth breaking into: from a hash under a random key,
 * new in each run, no token can be made. Pure but for the random key.
 */
import { createHmac, randomBytes } from "node:crypto"
import type { Policy } from "../policies/policy.ts"

/** What a gate process is told: see Order. Hexadecimal digits. */
export interface JobTokens {
  readonly key: string
  readonly digests: readonly string[]
}

/** A text that is to be one of the job's tokens, and where it comes from. */
export interface WrittenToken {
  /** `$GITHUB_TOKEN`, or `--job-token-file "PATH"`. */
  readonly source: string
  readonly text: string
}

/** Where a job of GitHub Actions finds its tokens. */
const variables = ["GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN"]

/** Shorter ones could be met by chance, or guessed, in characters. Those of GitHub have 40 and more. */
const lengthMin = 20
/** Longer than any token: GitHub's for an identity have about 2,000 characters. */
const lengthMax = 16_384
const keyBytes = 32

/**
 * The tokens that a job has by its environment. An empty one is none: that is how a secret looks
 * which a workflow has no right to.
 */
export function environmentTokens(
  environment: Readonly<Record<string, string | undefined>>,
): WrittenToken[] {
  return variables.flatMap((name) => {
    const text = environment[name] ?? ""
    return text === "" ? [] : [{ source: `$${name}`, text }]
  })
}

/** A file's token: without the newline that editors and `echo` put at its end. */
export function fileToken(path: string, text: string): WrittenToken {
  return { source: `--job-token-file "${path}"`, text: text.replace(/\r?\n$/, "") }
}

/**
 * The tokens of a run.
 *
 * @throws Error for one that is no token. Of the environment's, those are left out where no rule asks
 *   for the job's token: they are nothing to Sluice then.
 */
export function jobTokens(
  environment: readonly WrittenToken[],
  files: readonly WrittenToken[],
  policy: Pick<Policy, "rules">,
): readonly string[] {
  const asked = policy.rules.some(({ token }) => token === "job")
  const found = environment.filter((token) => asked || faultOf(token.text) === null)
  const all = [...found, ...files]
  for (const { source, text } of all) {
    const fault = faultOf(text)
    // Why without the text: it may be a secret all the same.
    if (fault !== null) throw new Error(`Cannot take the job's token from ${source}: ${fault}`)
  }
  return [...new Set(all.map(({ text }) => text))]
}

function faultOf(text: string): string | null {
  if (text === "") return "it is empty, must be a token"
  if (!/^[\x21-\x7e]+$/.test(text)) {
    return "it has a space, a line break or another odd character in it, must be one token"
  }
  if (text.length >= lengthMin && text.length <= lengthMax) return null
  return `it has ${text.length} characters, must have ${lengthMin} to ${lengthMax}`
}

/** Their hashes under a new key. */
export function hashed(tokens: readonly string[]): JobTokens {
  const key = randomBytes(keyBytes)
  return { key: key.toString("hex"), digests: tokens.map((token) => digest(key, token)) }
}

/**
 * Whether a text is one of the job's tokens.
 *
 * Why no comparison byte by byte: hashes are looked up, and how long that takes says nothing of a
 * token to who does not know the key.
 */
export function isJobToken({ key, digests }: JobTokens): (credential: string) => boolean {
  const known = new Set(digests)
  const secret = Buffer.from(key, "hex")
  return (credential) =>
    known.size > 0 && credential.length >= lengthMin && known.has(digest(secret, credential))
}

function digest(key: Buffer, token: string): string {
  return createHmac("sha256", key).update(token, "latin1").digest("hex")
}
