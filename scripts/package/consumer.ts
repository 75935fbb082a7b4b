// Compiled, not run: what a strict TypeScript program sees of the installed package.
import type { Dht, DhtErrorCode } from 'xorbit'
import { createDht, DhtError } from 'xorbit'
import { Simulator } from 'xorbit/testing'
import { udp } from 'xorbit/udp'

export async function store(value: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const dht: Dht = createDht({ transport: udp({ port: 0, host: '127.0.0.1' }), bootstrap: ['203.0.113.7:7400'] })
  await dht.start({ signal })
  try {
    const { key } = await dht.put(value, { signal })
    const found = await dht.get(key, { signal })
    return found?.value
  } finally {
    await dht.close()
  }
}

export function simulate(seed: number): Dht {
  const { transport, clock, randomBytes } = new Simulator({ seed }).host()
  return createDht({ transport, clock, randomBytes, bootstrap: [] })
}

export function codeOf(error: unknown): DhtErrorCode | undefined {
  return error instanceof DhtError ? error.code : undefined
}

// @ts-expect-error a port is a number: were the types lost, this line would compile and the check fail.
udp({ port: '7400' })
