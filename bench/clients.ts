/**
 * The clients that make load: their command lines and what they print. Each figure comes with the share
 * of requests that failed, since a firewall that refuses is faster than one that works.
 */
import type { Protocol } from "./contestant.ts"

export interface Served {
  readonly perSecond: number
  readonly requests: number
  /** Of those that were asked, in percent. */
  readonly failedPercent: number
}

/** Threads of a load generator: one is a whole core, which it shares with the firewall and the origin. */
const threads = 1

export interface WrkOptions {
  readonly connections: number
  readonly seconds: number
  /** Whether each request is the only one of its connection. */
  readonly handshakes?: boolean
}

export function wrkCommand(url: string, options: WrkOptions): string {
  const { connections, seconds, handshakes = false } = options
  const closing = handshakes ? "-H 'Connection: close'" : ""
  return `wrk --latency -t ${threads} -c ${connections} -d ${seconds}s ${closing} ${url}`
}

/** Milliseconds out of wrk's `1.23ms`, `456.00us`, `1.02s`. */
export function wrkMs(printed: string, label: string): number {
  const found = new RegExp(`${label}\\s+([\\d.]+)(us|ms|s)\\b`).exec(printed)
  const value = Number(found?.[1] ?? Number.NaN)
  const unit = found?.[2]
  return unit === "us" ? value / 1000 : unit === "s" ? value * 1000 : value
}

function first(printed: string, expression: RegExp): number | null {
  const found = expression.exec(printed)?.[1]
  return found === undefined ? null : Number(found)
}

export function wrkServed(printed: string): Served {
  const requests = first(printed, /(\d+) requests in/) ?? 0
  const refused = first(printed, /Non-2xx or 3xx responses: (\d+)/) ?? 0
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(
    printed,
  )
  const broken = (errors ?? []).slice(1).reduce((sum, count) => sum + Number(count), 0)
  const perSecond = first(printed, /Requests\/sec:\s+([\d.]+)/) ?? Number.NaN
  const failed = refused + broken
  return {
    perSecond: perSecond * (1 - refused / Math.max(1, requests)),
    requests: requests - refused,
    failedPercent: (100 * failed) / Math.max(1, requests + broken),
  }
}

/** `amount` is a duration (`-D 3`) or a count (`-n 1000`). */
export function h2loadCommand(
  url: string,
  amount: string,
  { connections, streams }: { readonly connections: number; readonly streams: number },
  protocol: Protocol = "HTTP/2",
): string {
  const spoken = protocol === "HTTP/2" ? "" : "--h1"
  return `h2load ${spoken} ${amount} -c ${connections} -m ${streams} -t ${threads} ${url}`
}

export function h2loadServed(printed: string): Served {
  const took = /finished in ([\d.]+)(us|ms|s), ([\d.]+) req\/s/.exec(printed)
  const total = first(printed, /requests: (\d+) total/) ?? 0
  const good = first(printed, /status codes: (\d+) 2xx/) ?? 0
  // Replies other than 2xx and 3xx are among them: nghttp2 counts those as failed.
  const failed = Math.max(first(printed, /(\d+) failed/) ?? 0, total - good)
  const perSecond = Number(took?.[3] ?? Number.NaN)
  const done = Math.max(1, good + failed)
  return {
    perSecond: (perSecond * good) / done,
    requests: good,
    failedPercent: total === 0 && good === 0 ? 100 : (100 * failed) / done,
  }
}

/** Downloads and says speed in bytes a second, size in bytes, and throws unless all came as asked. */
export function curlCommand(url: string, protocol: Protocol): string {
  const spoken = protocol === "HTTP/2" ? "--http2" : "--http1.1"
  const format = "%{speed_download} %{size_download} %{http_version} %{http_code}"
  return `curl -sSk ${spoken} -o /dev/null -w '${format}' '${url}'`
}

export function curlDownloaded(
  printed: string,
  protocol: Protocol,
): { readonly bytesPerSecond: number; readonly bytes: number } {
  const [speed, size, version, status] = printed.trim().split(" ")
  const wanted = protocol === "HTTP/2" ? "2" : "1.1"
  if (version !== wanted || status !== "200") {
    throw new Error(`Cannot download over ${protocol}: "${printed}", must be ${wanted} 200`)
  }
  return { bytesPerSecond: Number(speed), bytes: Number(size) }
}

/** A request of 1 kB that takes longer has failed. */
const curlTimeoutS = 10

/**
 * One request to each URL that the glob stands for, each on a connection of its own, as many as are done
 * within the time.
 */
export function curlEachCommand(glob: string, parallel: number, seconds: number): string {
  const side = parallel > 1 ? `-Z --parallel-immediate --parallel-max ${parallel}` : ""
  const format = "%{http_code} %{time_total}\\n"
  const one = `--http1.1 --max-time ${curlTimeoutS} -H 'Connection: close' -o /dev/null`
  // Why stdbuf: what was done before the time was over must have been printed.
  // Why true: a transfer that fails is counted by its status, which is then 000.
  return `timeout ${seconds} stdbuf -oL curl -sk ${one} ${side} -w '${format}' '${glob}' || true`
}

/** Statuses other than 200, in percent, and how long each good request took, ascending. */
export function curlEach(printed: string): { failedPercent: number; tookMs: number[] } {
  const lines = printed
    .trim()
    .split("\n")
    .filter((line) => /^\d{3} [\d.]+$/.test(line))
  const good = lines.filter((line) => line.startsWith("200 "))
  const tookMs = good.map((line) => Number(line.slice(4)) * 1000).sort((a, b) => a - b)
  // Why all where nothing was printed: the client itself failed.
  const served = lines.length === 0 ? 0 : good.length / lines.length
  return { failedPercent: 100 * (1 - served), tookMs }
}

/** NaN where there is no value. `sorted` is ascending, `share` from 0 to 1. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
