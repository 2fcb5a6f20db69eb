/**
 * What Sluice was itself handed stays with it: a socket of whoever started it must not be a way out
 * for the job.
 *
 * Node sees to the first few descriptors only (uv_disable_stdio_inheritance ends at the first gap
 * behind 15).
 */
import { call } from "./libc.ts"

const firstAfterStandard = 3
const last = 0xffffffff
/** linux/close_range.h, Linux 5.11. */
const CLOSE_RANGE_CLOEXEC = 4
/** The same number on every architecture (asm-generic/unistd.h). */
const SYS_close_range = 436

/** From now on programs that we start inherit standard input, output and error, and what is given them. */
export function keepDescriptors(): void {
  const values = [SYS_close_range, firstAfterStandard, last, CLOSE_RANGE_CLOEXEC]
  call("close_range", "keep descriptors from the job", ...values)
}
