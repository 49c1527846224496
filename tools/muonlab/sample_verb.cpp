// `muonlab sample`: text from a finished run.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "muonlab/train/finished_run.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

struct Options {
  std::string run;
  std::string prompt;
  train::SampleOptions sample;
};

void run(const Options& options) {
  std::cout << train::sample_run(options.run, options.prompt, options.sample)
            << "\n";
}

}  // namespace

void add_sample_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("sample", "print text from a run's weights");
  auto options = std::make_shared<Options>();
  verb->add_option("RUN", options->run, "run folder")->required();
  verb->add_option("--prompt", options->prompt, "text to continue");
  verb->add_option("--tokens", options->sample.tokens, "tokens to add")
      ->capture_default_str();
  verb->add_option("--temperature", options->sample.temperature,
                   "0: always the likeliest token")
      ->capture_default_str();
  verb->add_option("--top-k", options->sample.top_k, "0: from all tokens")
      ->capture_default_str();
  verb->add_option("--seed", options->sample.seed, "of the choices")
      ->capture_default_str();
  verb->footer(
      "Example: muonlab sample runs/muon-0f3a9c21-s0 --prompt 'Fellow "
      "citizens'");
  verb->callback([options] { run(*options); });
}

}  // namespace muonlab::tools
