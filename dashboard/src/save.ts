// Gives the reader a file that was made here.
export function save(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  // The browser has taken it over when the click returns, but not all of them have read it.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
