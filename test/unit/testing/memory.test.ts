import { expect, test } from 'vitest'
import { Simulator } from '../../../src/testing/index.js'
import { bytesEach } from '../../heap.js'

const HOSTS = 2_000

/** A tenth of what a node itself has, where 100,000 of them run in one process. */
const HOST_BYTES_MAX = 2_500

test('a machine takes little memory beside the node that runs on it', async () => {
  const simulator = new Simulator({ seed: 1 })
  const hosts: unknown[] = []
  const add = (): void => {
    const host = simulator.host()
    host.randomBytes(32)
    hosts.push(host)
  }
  bytesEach(HOSTS, add)
  expect(bytesEach(HOSTS, add)).toBeLessThan(HOST_BYTES_MAX)
  expect(hosts.length).toBe(2 * HOSTS)
})
