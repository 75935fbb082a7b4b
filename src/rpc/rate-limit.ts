import { Recent } from './recent.js'

/** How long a host's allowance is remembered after its last request: by then it is full again. */
const REMEMBERED_MS = 60_000
const HOSTS_MAX = 8192

/** A token bucket for each host: `perSecond` requests a second, up to `burst` at once. */
export class RateLimit {
  readonly #perSecond: number
  readonly #burst: number
  readonly #hosts = new Recent<{ allowance: number; atMs: number }>(REMEMBERED_MS, HOSTS_MAX)

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = burst
  }

  /** Whether the host may ask once more now. */
  allows(host: string, nowMs: number): boolean {
    const known = this.#hosts.get(host, nowMs)
    const state = known ?? { allowance: this.#burst, atMs: nowMs }
    state.allowance = Math.min(this.#burst, state.allowance + ((nowMs - state.atMs) * this.#perSecond) / 1000)
    state.atMs = nowMs
    const allowed = state.allowance >= 1
    if (allowed) state.allowance -= 1
    this.#hosts.set(host, state, nowMs)
    return allowed
  }
}
