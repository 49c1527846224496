// `muonlab polar`: polar factors of stored or made matrices, and tables of
// coefficients.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>

#include "muonlab/core/error.h"
#include "muonlab/optim/options.h"
#include "muonlab/train/polar_report.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

struct Options {
  train::PolarRequest request;
  std::string file;
  std::string out;
  std::string shape;
  std::string kind = "gaussian";
  std::int64_t seed = 0;
  std::map<std::string, std::string> words;  // by flag, without "--"
  int steps = 0;
  int power_steps = 0;
  bool tables = false;
  std::string generate;
  bool json = false;
};

constexpr int kMostThreads = 1024;

// Flags and the rules' options are the same, but for "polar_" and the dashes.
std::string flag_of(std::string name) {
  name = name.substr(name.find('_') + 1);
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

PolarOptions polar_options(const Options& options) {
  optim::OptionMap values;
  for (const auto& [flag, text] : options.words) {
    if (!text.empty()) values["--" + flag] = text;
  }
  if (options.steps != 0) {
    values["--steps"] = optim::option_value(options.steps);
  }
  if (options.power_steps != 0) {
    values["--power-steps"] = optim::option_value(options.power_steps);
  }
  optim::MatrixRule matrix_rule;
  matrix_rule.direction = optim::Direction::kPolar;
  optim::UpdateRule rule = matrix_rule;
  const auto polar_of_rule = [&] {
    std::vector<optim::Option> table = optim::options_of(rule);
    std::erase_if(table, [](const optim::Option& option) {
      return !option.name.starts_with("polar_");
    });
    return table;
  };
  for (const optim::Option& option : polar_of_rule()) {
    const auto found = values.find(flag_of(option.name));
    if (found != values.end()) option.set(found->second, found->first);
  }
  // Once more: what applies depends on the values.
  for (const optim::Option& option : polar_of_rule()) {
    const std::string flag = flag_of(option.name);
    MUONLAB_CHECK(option.applies || values.count(flag) == 0, flag,
                  ": has no effect with the other options; remove it");
    option.check(flag);
  }
  return std::get<optim::MatrixRule>(rule).polar;
}

train::PolarReport report(Options& options) {
  if (options.tables) return train::polar_tables(options.steps);
  if (!options.generate.empty()) {
    return train::generated_table(options.generate);
  }
  train::PolarRequest& request = options.request;
  if (options.file.empty() && options.shape.empty()) {
    throw CLI::ValidationError(
        "polar", "name a FILE, or give --shape, --tables or --generate");
  }
  request.options = polar_options(options);
  request.file = options.file;
  request.out = options.out;
  if (!options.shape.empty()) {
    request.made = train::made_matrix(options.shape, options.kind, options.seed,
                                      "--shape");
  }
  return train::polar_report(request);
}

}  // namespace

void add_polar_verb(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "polar", "polar factors of stored matrices: time and error");
  auto options = std::make_shared<Options>();
  auto* file = verb->add_option("FILE", options->file,
                                "a safetensors file; each of its matrices");
  verb->add_option("--tensor", options->request.tensor,
                   "this tensor of the file alone")
      ->needs(file);
  auto* shape = verb->add_option("--shape", options->shape,
                                 "make a matrix instead: ROWSxCOLUMNS")
                    ->excludes(file);
  verb->add_option("--kind", options->kind,
                   "of the matrix that is made: gaussian, ill-conditioned, "
                   "low-rank, rank-deficient")
      ->needs(shape);
  verb->add_option("--seed", options->seed, "of the matrix that is made")
      ->needs(shape)
      ->check(CLI::NonNegativeNumber);
  for (const char* name : {"polar_method", "polar_coefficients",
                           "polar_restarts", "polar_norm", "polar_dtype"}) {
    const std::string flag = flag_of(name);
    verb->add_option(flag, options->words[flag.substr(2)],
                     concat(optim::option_help(name).about, ", as ", name));
  }
  auto* steps =
      verb->add_option("--steps", options->steps, "Newton-Schulz steps")
          ->check(CLI::Range(1, 100));
  verb->add_option("--power-steps", options->power_steps,
                   "power iterations of --norm power")
      ->check(CLI::Range(1, 100));
  verb->add_flag("--exact", options->request.exact,
                 "references in float64 for short sides above 1024 too");
  verb->add_option("--out", options->out,
                   "write the factors to this safetensors file");
  verb->add_option("--threads", options->request.threads,
                   "threads (default: as many as cores)")
      ->check(CLI::Range(1, kMostThreads));
  auto* tables = verb->add_flag("--tables", options->tables,
                                "list the tables of coefficients instead")
                     ->excludes(file)
                     ->excludes(shape);
  verb->add_option("--generate", options->generate,
                   "print the rows of a Polar Express table instead: "
                   "lower=1e-3,steps=5 (and cushion, safety, degree)")
      ->excludes(file)
      ->excludes(shape)
      ->excludes(tables)
      ->excludes(steps);
  verb->add_flag("--json", options->json, "one JSON object on stdout");
  verb->footer(
      "`muonlab optim show muon` lists the values of the options; "
      "docs/polar.md "
      "compares\nthem. Distances are divided by the root of the short side.\n"
      "Example: muonlab polar --shape 768x3072 --method gram --dtype mixed");
  verb->callback([options] {
    const train::PolarReport made = report(*options);
    if (options->json) {
      std::cout << made.json.dump(2) << "\n";
    } else {
      std::cout << made.text;
    }
  });
}

}  // namespace muonlab::tools
