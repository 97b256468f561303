// The sheet's colours, as they are where something stands: by day, and by night.

/** The colour that a variable of the sheet stands for. */
export type Colours = (variable: string) => string;

export function coloursAt(place: HTMLElement): Colours {
  const known = new Map<string, string>();
  return (variable) => {
    const colour = known.get(variable) ?? colourOf(place, variable);
    known.set(variable, colour);
    return colour;
  };
}

function colourOf(place: HTMLElement, variable: string): string {
  const probe = document.createElement('span');
  place.append(probe);
  probe.style.color = `var(${variable})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
