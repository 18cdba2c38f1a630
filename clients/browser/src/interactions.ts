import { attempt } from "./attempt";
import type { Json } from "./options";

type Send = (category: string, name: string, data: Json) => void;

/** Send a click on an element with `data-eye-click`, or on what it contains. */
export function watchClicks(page: () => Json, send: Send): void {
  const clicked = (event: MouseEvent): void => {
    const element = event.composedPath().find((node) => attribute(node, "click") !== null) as Element | undefined;
    if (!element || event.button > 1) return;
    const data: Json = attempt(() => JSON.parse(attribute(element, "data")!)) ?? {};
    if (attribute(element, "name") === null) {
      Object.assign(data, page(), { element: attribute(element, "click") || element.id });
    }
    send(...typeOf(element, "page interaction", "cta click"), data);
  };
  for (const kind of ["click", "auxclick"] as const) {
    document.addEventListener(kind, (event) => attempt(() => clicked(event)), true);
  }
}

/** Send the submission of a form with `data-eye-form`, with those of its fields that have `data-eye-field`. */
export function watchForms(page: () => Json, send: Send): void {
  const submitted = (form: HTMLFormElement): void => {
    if (attribute(form, "form") === null) return;
    const values: Json = {};
    for (const field of document.querySelectorAll<HTMLInputElement>("[data-eye-field]")) {
      if (field.form === form) addValue(values, field);
    }
    send(...typeOf(form, "form interaction", "submit"), { ...page(), form: values });
  };
  document.addEventListener("submit", ({ target }) => attempt(() => submitted(target as HTMLFormElement)), true);
}

function addValue(values: Json, field: HTMLInputElement | HTMLSelectElement): void {
  const name = attribute(field, "field") || field.name;
  if (/^(password|file)$/.test(field.type)) return; // not even where they are marked
  if (/^(checkbox|radio)$/.test(field.type) && !(field as HTMLInputElement).checked) return;
  values[name] =
    field.type === "select-multiple"
      ? Array.from((field as HTMLSelectElement).selectedOptions, ({ value }) => value)
      : field.value;
}

function typeOf(element: Element, category: string, name: string): [string, string] {
  return [attribute(element, "category") ?? category, attribute(element, "name") ?? name];
}

function attribute(node: EventTarget, name: string): string | null {
  return (node as Partial<Element>).getAttribute?.(`data-eye-${name}`) ?? null;
}
