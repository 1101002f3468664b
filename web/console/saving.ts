/** Where results go: into the browser's downloads, or beside the original where the browser lets the person choose. */

/** A result, under the name that it is saved by. */
export interface Result {
  name: string;
  content: Blob;
}

/** Of the File System Access API, which is not in TypeScript's library: Chromium and its relatives have it. */
interface Pickers {
  showSaveFilePicker?(options: {
    suggestedName: string;
    startIn?: FileSystemHandle;
  }): Promise<FileSystemFileHandle>;
  showDirectoryPicker?(options: {
    mode: "readwrite";
    startIn?: FileSystemHandle;
  }): Promise<FileSystemDirectoryHandle>;
}

const pickers = globalThis as Pickers;

export const canSaveBeside = (): boolean => pickers.showSaveFilePicker !== undefined;
export const canSaveAll = (): boolean => pickers.showDirectoryPicker !== undefined;

export function download({ name, content }: Result): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Lets the person save a result; the question begins in the folder of the original.
 *
 * @returns whether it was saved; false: the person thought better of it
 * @throws {Error} where it cannot be written
 */
export function saveBeside(
  { name, content }: Result,
  startIn: FileSystemHandle | undefined,
): Promise<boolean> {
  return unlessLeft(async () => {
    const file = await pickers.showSaveFilePicker!({ suggestedName: name, startIn });
    await write(file, content);
  });
}

/**
 * Lets the person choose a folder, and saves the results in it. A file that is there stays: the new one gets a number.
 *
 * @returns as {@linkcode saveBeside}
 * @throws {Error} where one cannot be written
 */
export function saveAll(
  results: readonly Result[],
  startIn: FileSystemHandle | undefined,
): Promise<boolean> {
  return unlessLeft(async () => {
    const folder = await pickers.showDirectoryPicker!({ mode: "readwrite", startIn });
    for (const { name, content } of results) {
      await write(
        await folder.getFileHandle(await freeName(folder, name), { create: true }),
        content,
      );
    }
  });
}

async function unlessLeft(save: () => Promise<void>): Promise<boolean> {
  try {
    await save();
    return true;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return false;
    throw error;
  }
}

/** The file changes when all is written, and not before. */
async function write(file: FileSystemFileHandle, content: Blob): Promise<void> {
  const stream = await file.createWritable();
  await stream.write(content);
  await stream.close();
}

async function freeName(folder: FileSystemDirectoryHandle, name: string): Promise<string> {
  for (let number = 1;; number++) {
    const tried = number === 1 ? name : name.replace(/(\.\w+)?$/, ` (${number})$1`);
    try {
      await folder.getFileHandle(tried);
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotFoundError") return tried;
      if (!(error instanceof DOMException && error.name === "TypeMismatchError")) throw error;
    }
  }
}
