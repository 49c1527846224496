// `muonlab optim`: presets, routing tables, and rules applied to given numbers.
#include <CLI/CLI.hpp>
#include <iostream>
#include <iterator>
#include <memory>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/optim/replay.h"
#include "muonlab/optim/rule_table.h"
#include "muonlab/train/routing_report.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

using formats::Json;

struct Options {
  std::string name;
  std::string file;
  std::vector<std::string> overrides;
  std::string expect;
  bool json = false;
};

void print(const Json& value) { std::cout << value.dump(2) << "\n"; }

void list(const Options& options) {
  if (!options.json) {
    std::cout << optim::rule_table();
    return;
  }
  Json rules = Json::array();
  for (const optim::Preset& p : optim::presets()) {
    rules.push_back(optim::rule_json(p));
  }
  print({{"schema", 1}, {"rules", rules}});
}

void show(const Options& options) {
  const optim::Preset& preset = optim::find_preset(options.name);
  if (options.json) {
    Json page = optim::rule_json(preset);
    page["schema"] = 1;
    print(page);
  } else {
    std::cout << optim::rule_page(preset);
  }
}

void route(const Options& options) {
  const train::RoutingReport report =
      train::routing_report(options.file, options.overrides);
  if (options.json) {
    print(report.json);
  } else {
    std::cout << report.text;
  }
  if (options.expect.empty()) return;
  const auto differences = report.differences(options.expect);
  if (!differences.empty()) {
    throw Error(ErrorKind::kInvalidArgument,
                concat(options.expect, ": the routing is not the one expected:",
                       "\n  ", core::join(differences, "\n  ")),
                "mend the model's roles, or write the expectation anew with "
                "--json");
  }
  std::cerr << "the routing is as " << options.expect << " expects\n";
}

Json read_request(const std::string& file) {
  if (file != "-") return formats::read_json(file);
  const std::string text((std::istreambuf_iterator<char>(std::cin)),
                         std::istreambuf_iterator<char>());
  Json request = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (request.is_discarded()) {
    throw Error(ErrorKind::kInvalidArgument, "stdin: is not JSON");
  }
  return request;
}

void replay(const Options& options) {
  std::cout << optim::replay(read_request(options.file)).dump() << "\n";
}

}  // namespace

void add_optim_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("optim", "update rules and routing");
  verb->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto json_flag = [&](CLI::App* v) {
    v->add_flag("--json", options->json, "one JSON object on stdout");
  };

  auto* list_verb = verb->add_subcommand("list", "the rules, one line each");
  json_flag(list_verb);
  list_verb->footer("Example: muonlab optim list");
  list_verb->callback([options] { list(*options); });

  auto* show_verb = verb->add_subcommand(
      "show", "one rule: slots with formulas, options, state, source");
  show_verb->add_option("NAME", options->name, "see `optim list`")->required();
  json_flag(show_verb);
  show_verb->footer("Example: muonlab optim show adamuon");
  show_verb->callback([options] { show(*options); });

  auto* route_verb = verb->add_subcommand(
      "route", "which rule each parameter of a model gets, and why");
  route_verb
      ->add_option("CONFIG", options->file,
                   "TOML: a run's configuration, or a list of [[parameters]] "
                   "with name, shape and role")
      ->required();
  route_verb->add_option("--set", options->overrides, "KEY=VALUE")
      ->allow_extra_args(false);
  route_verb->add_option("--expect", options->expect,
                         "fail (exit code 3) unless the routing is as in this "
                         "file, which --json wrote");
  json_flag(route_verb);
  route_verb->footer("Example: muonlab optim route configs/routes/moe.toml");
  route_verb->callback([options] { route(*options); });

  auto* replay_verb = verb->add_subcommand(
      "replay", "apply a rule to given weights and gradients");
  replay_verb
      ->add_option("FILE", options->file,
                   "JSON: {rule, options, dtype, shape, w0, gradients}, or a "
                   "list of these; - reads stdin")
      ->required();
  json_flag(replay_verb);  // it prints nothing else, but every verb takes it
  replay_verb->footer(
      "Example: echo '{\"rule\":\"muonw\",\"shape\":[1,2],\"w0\":[1,2],"
      "\"gradients\":[[3,4]]}' | muonlab optim replay -");
  replay_verb->callback([options] { replay(*options); });
}

}  // namespace muonlab::tools
