// For TypeDoc: sorts the API reference by topic, which follows from the file that a thing is declared in. A file
// without a topic fails `npm run docs`.
import { Comment, CommentTag, Converter } from "typedoc";

const topics = {
  "Linear memory": [
    "linear-memory",
    "engine",
    "views",
    "pages",
    "subscription",
    "budget",
    "registry",
    "buffer-memory",
  ],
  Heaps: [
    "heap",
    "arguments",
    "movable",
    "compact",
    "arena",
    "check",
    "stats",
    "module-heap",
    "owning-heap",
    "conventions",
    "allocator",
  ],
  Ownership: ["owned", "blocks", "scope", "development"],
  "Typed data": ["struct", "array-type", "data-types", "data-source", "field-views"],
  Isolation: ["region", "isolated"],
  Errors: ["errors"],
};

const topicOf = new Map(
  Object.entries(topics).flatMap(([topic, files]) => files.map((file) => [file, topic])),
);

export function load(app) {
  // After tags that are inherited have been copied, before they are read.
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const reflection of project.children) {
      const { fileName } = project.getSymbolIdFromReflection(reflection);
      const topic = topicOf.get(fileName.replace(/^.*\/|\.ts$/g, ""));
      if (topic === undefined) {
        app.logger.error(`scripts/typedoc-topics.mjs: no topic for ${fileName}, where ${reflection.name} is`);
        continue;
      }
      for (const owner of reflection.signatures ?? [reflection]) {
        owner.comment ??= new Comment();
        owner.comment.blockTags.push(new CommentTag("@category", [{ kind: "text", text: topic }]));
      }
    }
  });
}
