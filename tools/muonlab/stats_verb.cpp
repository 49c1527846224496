// `muonlab stats`: the arms of a table of runs, compared.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "muonlab/core/text.h"
#include "muonlab/formats/json.h"
#include "muonlab/statistics/arm_comparison.h"
#include "tools/muonlab/runs_table.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

using formats::Json;
using formats::json_number;
using statistics::ArmComparison;
using statistics::ArmTable;

struct Options {
  std::string file;
  statistics::ArmComparisonOptions comparison;
  double margin = 0;  // 0: not given
  bool unpaired = false;
  bool json = false;
};

using Notes = std::vector<std::string>;

Notes notes_on(const RunsTable& table, const Options& options) {
  Notes notes;
  if (!table.other_columns.empty()) {
    notes.push_back("columns not used: " +
                    core::join(table.other_columns, ", "));
  }
  if (!table.has_seeds && !options.unpaired) {
    notes.emplace_back("no column `seed`: nothing is paired");
  }
  if (table.has_seeds && options.unpaired) {
    notes.emplace_back("--unpaired: the seeds are not used");
  }
  return notes;
}

// --- JSON ---

template <typename T>
Json number(const std::optional<T>& value) {
  if (!value) return nullptr;
  return json_number(static_cast<double>(*value));
}

Json interval(const std::optional<statistics::Interval>& value) {
  if (!value) return nullptr;
  return {json_number(value->low), json_number(value->high)};
}

Json json_of(const ArmComparison& c) {
  Json page;
  page["arms"] = c.arms;
  page["test"] = c.paired ? "paired t" : "Welch";
  page["n"] = c.n;
  page["n_each"] = c.runs;
  page["seeds"] = c.seeds;
  page["means"] = {json_number(c.means[0]), json_number(c.means[1])};
  page["sds"] = {number(c.sds[0]), number(c.sds[1])};
  page["mean_difference"] = json_number(c.mean_difference);
  page["sd_difference"] = number(c.sd_difference);
  page["ci95"] = interval(c.test() ? c.test()->interval : std::nullopt);
  page["ci"] = interval(c.interval);
  const auto test = [&](const auto& made, const char* t, const char* df,
                        const char* p) {
    page[t] = made ? number(made->t) : Json(nullptr);
    page[df] = made && made->p ? json_number(made->df) : Json(nullptr);
    page[p] = made ? number(made->p) : Json(nullptr);
  };
  test(c.paired_test, "t", "df", "p_paired");
  test(c.welch_test, "t_welch", "df_welch", "p_welch");
  const auto exact = [&](const auto& made, const char* p, const char* floor) {
    page[p] = made ? number(made->p) : Json(nullptr);
    page[floor] = made ? json_number(made->floor) : Json(nullptr);
  };
  exact(c.sign_flip, "p_sign_flip", "sign_flip_floor");
  exact(c.permutation, "p_permutation", "permutation_floor");
  page["p_holm"] = number(c.p_holm);
  page["ci95_bca"] = interval(c.bootstrap ? c.bootstrap->bca : std::nullopt);
  page["tost"] = nullptr;
  if (c.equivalence) {
    page["tost"] = {{"margin", json_number(c.equivalence->margin)},
                    {"p", json_number(c.equivalence->p)},
                    {"equivalent", c.equivalence->equivalent}};
  }
  page["hedges_g"] = number(c.hedges_g);
  page["probability_of_improvement"] =
      json_number(c.probability_of_improvement);
  page["n_for_80_percent_power"] = nullptr;
  if (c.runs_for_80_percent_power) {
    page["n_for_80_percent_power"] = *c.runs_for_80_percent_power;
  }
  page["warnings"] = c.warnings;
  return page;
}

Json json_of(const ArmTable& table, const Options& options,
             const Notes& notes) {
  const auto& chosen = options.comparison;
  Json page;
  page["schema"] = 1;
  page["file"] = options.file;
  page["baseline"] =
      chosen.baseline.empty() ? Json(nullptr) : Json(chosen.baseline);
  page["alpha"] = json_number(chosen.alpha);
  page["resamples"] = chosen.resamples;
  page["seed"] = chosen.bootstrap_seed;
  page["arms"] = Json::array();
  for (const statistics::ArmValues& arm : table.arms) {
    page["arms"].push_back({{"arm", arm.arm},
                            {"n", arm.values.size()},
                            {"mean", json_number(arm.mean)},
                            {"sd", number(arm.sd)}});
  }
  page["comparisons"] = Json::array();
  for (const ArmComparison& c : table.comparisons) {
    page["comparisons"].push_back(json_of(c));
  }
  page["notes"] = notes;
  return page;
}

// --- Text ---

using Rows = std::vector<std::vector<std::string>>;

// Four significant digits: what a few seeds can bear.
std::string digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

template <typename T>
std::string digits(const std::optional<T>& value) {
  return value ? digits(static_cast<double>(*value)) : "-";
}

std::string digits(const std::optional<statistics::Interval>& value) {
  return value ? digits(value->low) + " to " + digits(value->high) : "-";
}

std::string name_of(const ArmComparison& c) {
  return c.arms[0] + " - " + c.arms[1];
}

template <typename Exact>
std::string with_floor(const std::optional<Exact>& made) {
  if (!made || !made->p) return "-";
  return digits(*made->p) + " (>= " + digits(made->floor) + ")";
}

std::string percent(double share) { return core::shortest(100 * share); }

void print_tests(const ArmTable& table, const Options& options) {
  const std::string confidence = percent(1 - options.comparison.alpha) + " %";
  Rows rows = {{"difference", "n", "mean", confidence, "t", "df", "p paired",
                "p Welch", "p Holm", "p sign flip", "p permutation"}};
  for (const ArmComparison& c : table.comparisons) {
    const auto& test = c.test();
    const bool tested = test && test->p;
    rows.push_back({name_of(c), std::to_string(c.n), digits(c.mean_difference),
                    digits(c.interval), tested ? digits(*test->t) : "-",
                    tested ? digits(test->df) : "-",
                    c.paired_test ? digits(c.paired_test->p) : "-",
                    c.welch_test ? digits(c.welch_test->p) : "-",
                    digits(c.p_holm), with_floor(c.sign_flip),
                    with_floor(c.permutation)});
  }
  std::cout << core::aligned_table(rows);
}

void print_sizes(const ArmTable& table, const Options& options) {
  Rows rows = {{"difference", "sd", "Hedges g", "P(first lower)", "95 % BCa",
                "n for 80 % power"}};
  const bool margin = options.comparison.margin.has_value();
  if (margin) {
    rows[0].push_back("p within +-" + digits(*options.comparison.margin));
  }
  for (const ArmComparison& c : table.comparisons) {
    rows.push_back({name_of(c), digits(c.sd_difference), digits(c.hedges_g),
                    digits(c.probability_of_improvement),
                    digits(c.bootstrap ? c.bootstrap->bca : std::nullopt),
                    c.runs_for_80_percent_power
                        ? std::to_string(*c.runs_for_80_percent_power)
                        : "-"});
    if (!margin) continue;
    rows.back().push_back(
        c.equivalence
            ? digits(c.equivalence->p) +
                  (c.equivalence->equivalent ? ", equivalent" : ", not shown")
            : "-");
  }
  std::cout << core::aligned_table(rows);
}

void print(const ArmTable& table, const Options& options, const Notes& notes) {
  Rows rows = {{"arm", "n", "mean", "sd"}};
  for (const statistics::ArmValues& arm : table.arms) {
    rows.push_back({arm.arm, std::to_string(arm.values.size()),
                    core::fixed(arm.mean, 6), digits(arm.sd)});
  }
  std::cout << core::aligned_table(rows) << "\n";
  print_tests(table, options);
  std::cout << "\n";
  print_sizes(table, options);
  std::vector<std::string> lines;
  for (const std::string& note : notes) lines.push_back("note: " + note);
  for (const ArmComparison& c : table.comparisons) {
    for (const std::string& warning : c.warnings) {
      lines.push_back("warning: " + name_of(c) + ": " + warning);
    }
  }
  if (!lines.empty()) std::cout << "\n" << core::join(lines, "\n") << "\n";
}

void run(Options options) {
  const RunsTable table = read_runs(options.file);
  auto& chosen = options.comparison;
  chosen.paired = table.has_seeds && !options.unpaired;
  if (options.margin > 0) chosen.margin = options.margin;
  const ArmTable made = statistics::compare_arms(table.runs, chosen);
  const Notes notes = notes_on(table, options);
  if (options.json) {
    std::cout << json_of(made, options, notes).dump(2) << "\n";
  } else {
    print(made, options, notes);
  }
}

}  // namespace

void add_stats_verb(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "stats", "compare the arms of a table of runs: tests and intervals");
  auto options = std::make_shared<Options>();
  auto& chosen = options->comparison;
  verb->add_option("FILE", options->file,
                   "CSV with columns arm, value and perhaps seed, or JSON rows "
                   "of these; - is stdin")
      ->required();
  verb->add_option("--baseline", chosen.baseline,
                   "compare each arm with this one (default: all pairs)");
  verb->add_option("--margin", options->margin,
                   "test whether the difference is within +-MARGIN, too")
      ->check(CLI::PositiveNumber);
  const auto alpha = [](const std::string& text) -> std::string {
    double value = 0;
    const bool good =
        CLI::detail::lexical_cast(text, value) && value > 0 && value < 1;
    return good ? "" : "expected a number between 0 and 1, got " + text;
  };
  verb->add_option("--alpha", chosen.alpha,
                   "error rate of intervals and equivalence (default 0.05)")
      ->check(alpha);
  verb->add_option("--resamples", chosen.resamples,
                   "of the bootstrap (default 10000)")
      ->check(CLI::Range(100, 10'000'000));
  verb->add_option("--seed", chosen.bootstrap_seed,
                   "of the bootstrap (default 0)")
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--unpaired", options->unpaired, "do not pair runs by seed");
  verb->add_flag("--json", options->json, "one JSON object on stdout");
  verb->footer(
      "Smaller values are better; a difference is the first arm minus the "
      "second.\ndocs/statistics.md says which test is for what.\n"
      "Example: muonlab stats losses.csv --baseline adamw --margin 0.005");
  verb->callback([options] { run(*options); });
}

}  // namespace muonlab::tools
