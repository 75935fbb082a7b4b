import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['xorbit-source'] },
  ssr: { resolve: { conditions: ['xorbit-source'] } },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
})
