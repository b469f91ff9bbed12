import eslint from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'target/',
      'adapters/target/',
      'docs/api/',
      '.cache/',
      'load.cjs',
      'native.cjs',
      'native.d.cts',
      'crates/',
      'scripts/consumer/',
    ],
  },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // Numbers and bigints in messages are the point of most messages here.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // A `void` in front of an expression says that its value is dropped on purpose.
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-console': 'error',
    },
  },
  {
    // Programs speak to a terminal.
    files: ['scripts/**', 'examples/**', 'bench/**'],
    rules: { 'no-console': 'off' },
  },
  {
    // `test('…')` returns nothing to wait for.
    files: ['__test__/**', 'bench/**/*.spec.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'off' },
  },
  {
    // Plain JavaScript that is parsed before anything is installed: types come from JSDoc alone.
    files: ['**/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: { console: 'readonly', process: 'readonly', URL: 'readonly', performance: 'readonly' },
    },
  },
)
