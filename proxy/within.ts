/** Waiting, but not for ever. */

/** A promise's value, or another where it fails or takes too long. */
export function within<T>(promise: Promise<T>, timeoutMs: number, otherwise: T): Promise<T> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(otherwise), timeoutMs)
    promise.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      () => {
        clearTimeout(timer)
        resolve(otherwise)
      },
    )
  })
}
