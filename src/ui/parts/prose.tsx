/** A sentence in which code stands between backticks, as the terminal shows it. */
export function Prose({ text }: { text: string }) {
  return (
    <>
      {text.split("`").map((part, i, { length }) => {
        const isCode = i % 2 === 1;
        // one without a partner is no mark
        if (isCode && i === length - 1) return `\`${part}`;
        return isCode ? <code key={i}>{part}</code> : part;
      })}
    </>
  );
}
