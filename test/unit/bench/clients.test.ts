import t from "tap"
import {
  curlDownloaded,
  curlEach,
  h2loadServed,
  quantile,
  wrkMs,
  wrkServed,
} from "../../../bench/clients.ts"

const wrk = `Running 2s test @ https://page.allowed.test/page
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.40ms    3.64ms  59.39ms   95.57%
    Req/Sec    40.17k     3.96k   45.51k    80.00%
  Latency Distribution
     50%  711.00us
     75%    1.02ms
     90%    2.05ms
     99%    1.20s
  80000 requests in 2.00s, 98.41MB read
`
const wrkWithFaults = `${wrk}  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 20000
Requests/sec:  40000.00
`
const h2load = (succeeded: number, failed: number, good: number, denied: number): string => `
finished in 2.00s, 20000.00 req/s, 21.49MB/s
requests: 40000 total, 40064 started, 40000 done, ${succeeded} succeeded, ${failed} failed, ${failed} errored, 0 timeout
status codes: ${good} 2xx, 0 3xx, ${denied} 4xx, 0 5xx
`

t.test("wrk's quantiles are milliseconds, whatever unit it prints", (t) => {
  t.equal(wrkMs(wrk, "50%"), 0.711)
  t.equal(wrkMs(wrk, "75%"), 1.02)
  t.equal(wrkMs(wrk, "99%"), 1200)
  t.ok(Number.isNaN(wrkMs(wrk, "42%")))
  t.end()
})

t.test("what wrk was refused is no request that was served", (t) => {
  const whole = wrkServed(`${wrk}Requests/sec:  40000.00\n`)
  t.same(whole, { perSecond: 40_000, requests: 80_000, failedPercent: 0 })
  const { perSecond, requests, failedPercent } = wrkServed(wrkWithFaults)
  t.equal(perSecond, 30_000)
  t.equal(requests, 60_000)
  t.ok(Math.abs(failedPercent - (100 * 20_010) / 80_010) < 1e-9)
  t.end()
})

t.test("what h2load was refused, or failed at, is no request that was served", (t) => {
  const whole = h2loadServed(h2load(40_000, 0, 40_000, 0))
  t.same(whole, { perSecond: 20_000, requests: 40_000, failedPercent: 0 })
  const denied = h2loadServed(h2load(30_000, 10_000, 20_000, 10_000))
  t.same(denied, { perSecond: 10_000, requests: 20_000, failedPercent: 50 })
  t.equal(h2loadServed("").failedPercent, 100)
  t.end()
})

t.test("a download counts only over the protocol that was asked for, with status 200", (t) => {
  const good = { bytesPerSecond: 5e8, bytes: 1024 }
  t.same(curlDownloaded("500000000 1024 1.1 200\n", "HTTP/1.1"), good)
  t.same(curlDownloaded("500000000 1024 2 200\n", "HTTP/2"), good)
  for (const [printed, protocol] of [
    ["500000000 1024 1.1 200", "HTTP/2"],
    ["500000000 1024 2 200", "HTTP/1.1"],
    ["500000000 17 2 403", "HTTP/2"],
    ["curl: (35) reset", "HTTP/2"],
  ] as const) {
    t.throws(() => curlDownloaded(printed, protocol), printed)
  }
  t.end()
})

t.test("requests to many names are counted by status, and timed where they were served", (t) => {
  const printed = "200 0.010\n000 10.0\n200 0.002\n403 0.001\nwarning: something\n"
  t.same(curlEach(printed), { failedPercent: 50, tookMs: [2, 10] })
  t.same(curlEach(""), { failedPercent: 100, tookMs: [] })
  t.end()
})

t.test("a quantile is one of the values", (t) => {
  t.equal(quantile([1, 2, 3, 4], 0.5), 3)
  t.equal(quantile([1, 2, 3, 4], 0.99), 4)
  t.ok(Number.isNaN(quantile([], 0.5)))
  t.end()
})
