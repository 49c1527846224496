// `muonlab train`: one run.
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <memory>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/train/run_config.h"
#include "muonlab/train/trainer.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  std::string out;
  bool dry_run = false;
  bool force = false;
  bool quiet = false;
  bool dump = false;
  bool profile = false;
  bool json = false;
  std::int64_t child_of = 0;
};

// The keys with their defaults and meanings, from the table that parses them.
std::string key_help() {
  train::RunConfig config;
  return "Keys of CONFIG (TOML), with defaults:\n\n" +
         train::fields_of(config).to_toml(/*comments=*/true) +
         "\nExample: muonlab train configs/train.toml --set optim.lr=0.01";
}

// A study's run ends (after its step) when the study itself is gone.
void follow_parent(std::int64_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) {  // it ended before the line above
    throw Error(ErrorKind::kInterrupted,
                "the study that started this run ended");
  }
}

void run(const Options& options, Exit& exit) {
  if (options.child_of != 0) follow_parent(options.child_of);
  train::RunConfig config =
      train::read_run_config(options.config, options.overrides, "study");
  if (options.dry_run) {
    std::cout << train::dry_run(config).dump(2) << "\n";
    return;
  }
  const train::TrainResult result =
      train::run_training(config, {.out = options.out,
                                   .argv = exit.argv,
                                   .quiet = options.quiet,
                                   .force = options.force,
                                   .dump = options.dump,
                                   .profile = options.profile});
  const train::RunSummary& s = result.summary;
  if (s.status == "diverged") exit.code = 5;
  if (s.status == "interrupted") exit.code = 6;
  if (options.json) {
    std::cout << core::read_file(result.folder / "summary.json");
    return;
  }
  if (result.repeated) {
    std::cout << "already " << s.status << ", nothing to do";
  } else {
    std::cout << s.status;
  }
  if (s.val_loss) {
    std::cout << ": held-out loss " << core::fixed(*s.val_loss, 4)
              << " nats per token, "
              << core::fixed(s.bits_per_byte.value_or(0), 4)
              << " bits per byte (" << s.split << " half)";
  }
  if (!s.cause.empty()) std::cout << ": " << s.cause;
  std::cout << "\nrun: " << result.folder.string() << "\n";
}

}  // namespace

void add_train_verb(CLI::App& app, Exit& exit) {
  auto* verb = app.add_subcommand("train", "train one model");
  auto options = std::make_shared<Options>();
  verb->add_option("CONFIG", options->config, "TOML file")->required();
  verb->add_option("--set", options->overrides,
                   "KEY=VALUE, overrides the file; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("-o,--out", options->out,
                   "run folder (default: runs/RULE-HASH-sSEED)");
  verb->add_flag("--dry-run", options->dry_run,
                 "print parameters, FLOPs, tokens and the resolved "
                 "configuration as JSON; train nothing");
  verb->add_flag("--json", options->json, "one JSON object on stdout");
  verb->add_flag("--force", options->force,
                 "replace a finished run in the folder");
  verb->add_flag("-q,--quiet", options->quiet, "no progress on stderr");
  verb->add_flag("--dump", options->dump,
                 "also write initial.safetensors and windows.safetensors, for "
                 "repeating the run elsewhere, and optimizer.safetensors");
  verb->add_flag("--profile", options->profile,
                 "at the end print where a step's time went, with rates as "
                 "shares of the measured peak");
  verb->add_option("--child-of", options->child_of,
                   "process whose end stops this run (used by `study run`)");
  verb->footer([] { return key_help(); });
  verb->callback([options, &exit] { run(*options, exit); });
}

}  // namespace muonlab::tools
