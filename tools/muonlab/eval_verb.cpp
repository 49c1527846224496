// `muonlab eval`: the held-out loss of a finished run.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "muonlab/core/text.h"
#include "muonlab/formats/json.h"
#include "muonlab/train/finished_run.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

struct Options {
  std::string run;
  std::string split;
  std::int64_t windows = 0;
  bool json = false;
};

void run(const Options& options) {
  const train::HeldOutLoss loss =
      train::evaluate_run(options.run, options.split, options.windows);
  if (options.json) {
    const formats::Json json = {
        {"schema", 1},
        {"split", loss.split},
        {"val_loss", formats::json_number(loss.loss)},
        {"se", formats::json_number(loss.standard_error)},
        {"bpb", formats::json_number(loss.bits_per_byte)},
        {"n_tokens", loss.tokens},
        {"n_bytes", loss.bytes}};
    std::cout << json.dump(2) << "\n";
    return;
  }
  std::cout << "held-out loss " << core::fixed(loss.loss, 4) << " +- "
            << core::fixed(loss.standard_error, 4) << " nats per token, "
            << core::fixed(loss.bits_per_byte, 4) << " bits per byte, over "
            << core::grouped(loss.tokens) << " tokens of the " << loss.split
            << " half\n";
}

}  // namespace

void add_eval_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("eval", "held-out loss of a run");
  auto options = std::make_shared<Options>();
  verb->add_option("RUN", options->run, "run folder")->required();
  verb->add_option("--split", options->split,
                   "train, selection or reporting (default: the run's own)");
  verb->add_option("--windows", options->windows,
                   "windows of the context length (default: the run's own)")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--json", options->json, "one JSON object on stdout");
  verb->footer("Example: muonlab eval runs/muon-0f3a9c21-s0 --split selection");
  verb->callback([options] { run(*options); });
}

}  // namespace muonlab::tools
