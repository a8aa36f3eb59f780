/** What tests take for uvu here: their functions, noted until {@link runNoted}. */

type Body = () => unknown;

const noted = { before: [] as Body[], tests: [] as { name: string; body: Body }[], after: [] as Body[] };

export const test = Object.assign((name: string, body: Body): void => void noted.tests.push({ name, body }), {
  before: (body: Body): void => void noted.before.push(body),
  after: (body: Body): void => void noted.after.push(body),
  skip: (): void => {},
  run: (): void => {},
});

/**
 * Runs what was noted, or the tests of these names in their order, until something fails: its name and the error.
 * @param passed is told each test that passed
 */
export async function runNoted(
  names: readonly string[] | undefined,
  passed: (name: string) => void,
): Promise<{ name: string; error: unknown } | undefined> {
  let current = 'before';
  try {
    for (const body of noted.before) await body();
    const chosen = names ? names.flatMap((name) => noted.tests.filter((each) => each.name === name)) : noted.tests;
    for (const { name, body } of chosen) {
      current = name;
      await body();
      passed(name);
    }
  } catch (error) {
    return { name: current, error };
  } finally {
    for (const body of noted.after) await body();
  }
  return undefined;
}
