// Elements: found in index.html, or made. Text goes in as text only, so nothing that a server or a person
// writes becomes markup.

/** The element that index.html has under `id`; the two go together. */
export function get<E extends Element>(id: string, kind: new () => E): E {
  return query(`#${id}`, kind);
}

/** The element that index.html has for `selector`. */
export function query<E extends Element>(selector: string, kind: new () => E): E {
  const found = document.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${selector}`);
  return found;
}

export type Child = Node | string | undefined;

/** Attributes by name; `true` sets an empty one, `false` and `undefined` none. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A new element. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  attribute(made, attributes);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** A new element of a picture. */
export function draw<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  attribute(made, attributes);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

function attribute(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
}

/** A button that does `press`. */
export function button(label: string, press: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = make('button', { type: 'button', ...attributes }, label);
  made.addEventListener('click', press);
  return made;
}

/** Text in which what stands between backticks is code. */
export function prose(text: string): readonly (Node | string)[] {
  return text.split('`').map((part, i) => (i % 2 === 1 ? make('code', {}, part) : part));
}

/** Has screen readers say `text`, where nobody's focus moves to it. */
export function announce(text: string): void {
  get('status', HTMLElement).textContent = text;
}
