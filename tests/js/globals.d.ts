/** What core/shown/formula.py's `as_json` returns; the widget's module begins with it. */
declare const TEX: {
  longest: number;
  deepest: number;
  most: number;
  usual: number;
  environments: string;
  commands: string;
};
/** What display/markdown_writer.py has; the widget's module begins with it, too. */
declare const LANGUAGES: string;
