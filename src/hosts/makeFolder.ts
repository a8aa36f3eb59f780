import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * As mkdir with `recursive`, which in Node 20 never ends where the system takes no folders, as below /proc. Another process may make the same
 * folders meanwhile: a parent that was missing may be there a moment later.
 */
export async function makeFolder(path: string, { again = true }: { again?: boolean } = {}): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const hasParent = await exists(dirname(path));
    if (code !== 'ENOENT' || (hasParent && !again)) throw error;
    if (!hasParent) await makeFolder(dirname(path));
    await makeFolder(path, { again: false });
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
