// `muonlab optim`: presets and routing tables.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "muonlab/optim/rule_table.h"
#include "muonlab/train/finished_run.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  bool json = false;
};

void route(const Options& options) {
  const train::RunConfig config =
      train::read_run_config(options.config, options.overrides, "study");
  if (options.json) {
    std::cout << train::routing_json(config).dump(2) << "\n";
  } else {
    std::cout << train::routing_text(config);
  }
}

}  // namespace

void add_optim_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("optim", "update rules and routing");
  verb->require_subcommand(1);
  auto options = std::make_shared<Options>();
  auto* list_verb = verb->add_subcommand("list", "the rules and their slots");
  list_verb->callback([] { std::cout << optim::rule_table(); });
  auto* route_verb = verb->add_subcommand(
      "route", "which rule each parameter of a configuration's model gets");
  route_verb->add_option("CONFIG", options->config, "TOML file")->required();
  route_verb->add_option("--set", options->overrides, "KEY=VALUE")
      ->allow_extra_args(false);
  route_verb->add_flag("--json", options->json, "one JSON object on stdout");
  route_verb->footer("Example: muonlab optim route configs/train.toml");
  route_verb->callback([options] { route(*options); });
}

}  // namespace muonlab::tools
