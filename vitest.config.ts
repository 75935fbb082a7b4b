import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['xorbit-source'] },
  ssr: { resolve: { conditions: ['xorbit-source'] } },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // One more than there are cores on a small machine: programs that run as processes of their own mostly wait.
    maxWorkers: 3,
  },
})
