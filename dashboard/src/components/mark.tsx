// Several that hold one: the mark.
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" className="mark-ground" />
      <g className="mark-lines">
        <path d="M16 12.5v3M11.2 20.3 14 17.9M20.8 20.3 18 17.9" />
        <circle cx="16" cy="9" r="2.8" />
        <circle cx="9" cy="22" r="2.8" />
        <circle cx="23" cy="22" r="2.8" />
      </g>
      <circle cx="16" cy="16.6" r="2.2" className="mark-centre" />
    </svg>
  );
}
