import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A command with all that can follow it. */
export interface Completable {
  /** `replica add`; empty for the program itself. */
  readonly path: string;
  readonly description: string;
  readonly words: readonly string[];
  readonly flags: readonly { readonly name: string; readonly description: string }[];
}

export function completionScript(shell: Shell, program: Command): string {
  const commands = completables(program);
  switch (shell) {
    case 'bash':
      return bashScript(commands);
    case 'zsh':
      // zsh runs bash's completions when it is asked to.
      return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(commands)}`;
    case 'fish':
      return fishScript(commands);
    default:
      return shell satisfies never;
  }
}

/** The program, its commands and theirs. */
export function completables(program: Command, path: readonly string[] = []): readonly Completable[] {
  const children = program.commands.filter(command => command.name() !== 'help');
  const own: Completable = {
    path: path.join(' '),
    description: program.description(),
    words: children.map(command => command.name()),
    flags: program.options.flatMap(option =>
      option.hidden || !option.long ? [] : [{ name: option.long, description: option.description }],
    ),
  };
  return [own, ...children.flatMap(command => completables(command, [...path, command.name()]))];
}

function bashScript(commands: readonly Completable[]): string {
  const cases = commands.map(({ path, words, flags }) => {
    const all = [...words, ...flags.map(flag => flag.name), '--help'].join(' ');
    return `    ${path === '' ? '""' : JSON.stringify(path)}) words="${all}" ;;`;
  });
  return `# bash completion for understudy: eval "$(understudy completion bash)"
_understudy() {
  local path="" words="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    case "\${path:+$path }$word" in
      ${commands
        .filter(({ path }) => path !== '')
        .map(({ path }) => JSON.stringify(path))
        .join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  case "\${COMP_WORDS[COMP_CWORD-1]}" in --data|--bin-dir|--config) COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")); return ;; esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _understudy understudy
`;
}

function fishScript(commands: readonly Completable[]): string {
  const quote = (text: string): string => `'${text.replaceAll(/['\\]/g, character => `\\${character}`)}'`;
  const descriptions = new Map(commands.map(({ path, description }) => [path, description]));
  const lines = commands.flatMap(({ path, words, flags }) => {
    const names = path.split(' ').filter(Boolean);
    const here = names.length === 0 ? '__fish_use_subcommand' : names.map(name => `__fish_seen_subcommand_from ${name}`).join('; and ');
    return [
      ...words.map(
        word => `complete -c understudy -f -n ${quote(here)} -a ${word} -d ${quote(descriptions.get([...names, word].join(' ')) ?? '')}`,
      ),
      ...flags.map(flag => `complete -c understudy -n ${quote(here)} -l ${flag.name.slice(2)} -d ${quote(flag.description)}`),
    ];
  });
  return `# fish completion for understudy: understudy completion fish | source\n${lines.join('\n')}\n`;
}
