/** What tests take for uvu here: their functions, noted until {@link runNoted}. */

type Body = () => unknown;

const noted = { before: [] as Body[], tests: [] as { name: string; body: Body }[], after: [] as Body[] };

export const test = Object.assign((name: string, body: Body): void => void noted.tests.push({ name, body }), {
  before: (body: Body): void => void noted.before.push(body),
  after: (body: Body): void => void noted.after.push(body),
  skip: (): void => {},
  run: (): void => {},
});

/** Runs what was noted until something fails: its name and the error. */
export async function runNoted(): Promise<{ name: string; error: unknown } | undefined> {
  let current = 'before';
  try {
    for (const body of noted.before) await body();
    for (const { name, body } of noted.tests) {
      current = name;
      await body();
    }
  } catch (error) {
    return { name: current, error };
  } finally {
    for (const body of noted.after) await body();
  }
  return undefined;
}
