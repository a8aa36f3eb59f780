/** A picture of a contact sheet. */
export interface SheetPicture {
  /** What stands below it. */
  readonly name: string;
  /** Beside the name, such as a score. */
  readonly note?: string;
  /** Where it opens: a URL, relative to the sheet. */
  readonly href: string;
  /** The small picture: a URL, best one of its data. None: it is not shown. */
  readonly source?: string | undefined;
}

export interface SheetGroup {
  readonly title: string;
  readonly note?: string;
  /** What the others are like, shown before them and larger. */
  readonly query?: SheetPicture;
  readonly pictures: readonly SheetPicture[];
  /** Those without a place of their own: their names are in a list that opens. */
  readonly rest?: readonly SheetPicture[];
}

export interface Sheet {
  readonly title: string;
  readonly note?: string;
  readonly groups: readonly SheetGroup[];
}

const STYLE = `
:root { color-scheme: light dark; --page: #fafafa; --text: #1b1b1b; --quiet: #5c5c5c; --tile: #ececec; --accent: #0b62c4 }
@media (prefers-color-scheme: dark) { :root { --page: #161616; --text: #ededed; --quiet: #a8a8a8; --tile: #262626; --accent: #7cb7ff } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 90rem; background: var(--page); color: var(--text); font: 1rem/1.4 system-ui, sans-serif }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; overflow-wrap: anywhere }
p, h2 small, figcaption span { color: var(--quiet) } p { margin: .2rem 0 } h2 small { font-weight: normal; margin-left: .5em }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9.5rem, 44%), 1fr)); gap: .8rem }
figure { margin: 0; min-width: 0 }
figure.query { grid-column: span 2; grid-row: span 2 } figure.query .tile { outline: 3px solid var(--accent) }
.tile { display: flex; aspect-ratio: 1; background: var(--tile); border-radius: .4rem; overflow: hidden; align-items: center; justify-content: center; color: var(--quiet) }
.tile:focus-visible { outline: 3px solid var(--accent) } img { width: 100%; height: 100%; object-fit: contain }
figcaption { display: flex; gap: .5em; font-size: .8rem; margin-top: .25rem } figcaption span { flex: none }
figcaption bdi { flex: auto; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
details { margin-top: .8rem } ul { padding-left: 1.2rem } li { overflow-wrap: anywhere } a { color: var(--accent) }
`;

/** A web page in one file that fetches nothing: groups of pictures, light or dark as the reader has it, on screens of any width. */
export function contactSheet({ title, note, groups }: Sheet): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: file: 'self'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${note ? `<p>${escaped(note)}</p>\n` : ''}${groups.map(section).join('')}</body>
</html>
`;
}

function section({ title, note, query, pictures, rest = [] }: SheetGroup): string {
  const heading = `<h2><bdi>${escaped(title)}</bdi>${note ? `<small>${escaped(note)}</small>` : ''}</h2>`;
  const figures = [...(query ? [figure(query, ' class="query"')] : []), ...pictures.map((picture) => figure(picture))].join('');
  const items = rest.map(
    (one) => `<li><a href="${escaped(one.href)}"><bdi>${escaped(one.name)}</bdi></a> ${escaped(one.note ?? '')}</li>\n`,
  );
  const list = rest.length > 0 ? `<details><summary>${rest.length} more</summary><ul>\n${items.join('')}</ul></details>\n` : '';
  return `<section>\n${heading}\n<div class="pictures">\n${figures}</div>\n${list}</section>\n`;
}

function figure({ name, note, href, source }: SheetPicture, attributes = ''): string {
  const image =
    source === undefined ? 'no picture' : `<img src="${escaped(source)}" alt="${escaped(name)}" loading="lazy" decoding="async">`;
  const caption = `<bdi title="${escaped(name)}">${escaped(name)}</bdi>${note ? `<span>${escaped(note)}</span>` : ''}`;
  return `<figure${attributes}><a class="tile" href="${escaped(href)}">${image}</a><figcaption>${caption}</figcaption></figure>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text for HTML, between tags and in attributes. Control characters, which HTML has no way to say, become a sign for what cannot be shown. */
function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string).replace(/[\0-\x1f\x7f-\x9f]/g, '\ufffd');
}
