/**
 * Network namespaces as descriptors: made, entered for the length of one synchronous action, left.
 *
 * A descriptor is the only name that a namespace of ours has: nothing stands in /run/netns, so
 * nothing is left behind when the last process that holds it ends, whatever ended it.
 */
import { closeSync, openSync } from "node:fs"
import { c, call } from "./libc.ts"

declare const network: unique symbol

/** An open descriptor of a network namespace. */
export type Network = number & { readonly [network]: true }

/** The namespace in which the calling thread stands. */
export function currentNetwork(): Network {
  return openSync("/proc/thread-self/ns/net", "r") as Network
}

/** A new, empty network namespace; the calling thread stays where it is. */
export function createNetwork(): Network {
  const before = currentNetwork()
  try {
    call("unshare", "make a network namespace", c.CLONE_NEWNET)
    return currentNetwork()
  } finally {
    enterNetwork(before)
    closeSync(before)
  }
}

/** Moves the calling thread into a namespace for good. */
export function enterNetwork(target: Network): void {
  call("setns", "enter a network namespace", target, c.CLONE_NEWNET)
}

/**
 * Does something synchronous inside a namespace: sockets made and programs started there belong to it.
 */
export function inNetwork<T>(target: Network, action: () => T): T {
  const before = currentNetwork()
  enterNetwork(target)
  try {
    return action()
  } finally {
    enterNetwork(before)
    closeSync(before)
  }
}
