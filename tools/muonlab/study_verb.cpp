// `muonlab study`: the laboratory.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/study/comparison.h"
#include "muonlab/study/figure_export.h"
#include "muonlab/study/overview.h"
#include "muonlab/study/report.h"
#include "muonlab/study/study.h"
#include "muonlab/study/verdict.h"
#include "tools/muonlab/verbs.h"

namespace muonlab::tools {

namespace {

struct Options {
  std::string plan;
  std::vector<std::string> overrides;
  std::string runs = "runs";
  std::string studies = "studies";
  std::string vega;
  std::vector<std::string> figures;
  std::string python;
  std::int64_t jobs = 0;
  std::int64_t scale = 1;
  bool json = false;
};

study::StudyPlan plan_of(const Options& options) {
  study::StudyPlan plan =
      study::read_plan(options.plan, options.overrides, options.scale);
  if (options.jobs > 0) plan.jobs = options.jobs;
  return plan;
}

study::StudyOptions study_options(const Options& options, bool execute) {
  std::string command = "muonlab study run " + options.plan;
  for (const std::string& text : options.overrides) {
    command += " --set '" + text + "'";
  }
  if (options.scale != 1) {
    command += " --scale " + std::to_string(options.scale);
  }
  if (options.jobs > 0) command += " --jobs " + std::to_string(options.jobs);
  return {.runs = options.runs,
          .studies = options.studies,
          .execute = execute,
          .command = command,
          .say = [](const std::string& line) { std::cerr << line << "\n"; }};
}

// A file that is installed with the program, else where the source tree has it.
std::filesystem::path shared_file(const char* name, const char* in_tree) {
  std::error_code none;
  const auto installed =
      std::filesystem::read_symlink("/proc/self/exe", none).parent_path() /
      "../share/muonlab" / name;
  if (std::filesystem::exists(installed, none)) return installed;
  return std::filesystem::path(MUONLAB_SOURCE) / in_tree;
}

// The bundle that scripts/setup writes: --vega, else $MUONLAB_VEGA, else the
// installed one, else that of the source tree.
std::filesystem::path vega_bundle(const Options& options) {
  if (!options.vega.empty()) return options.vega;
  if (const char* path = std::getenv("MUONLAB_VEGA")) return path;
  return shared_file("vega.js", "build/vega.js");
}

std::filesystem::path python(const Options& options) {
  if (!options.python.empty()) return options.python;
  if (const char* path = std::getenv("MUONLAB_PYTHON")) return path;
  const auto own = std::filesystem::path(MUONLAB_SOURCE) / ".venv/bin/python";
  std::error_code none;
  return std::filesystem::exists(own, none) ? own : "python3";
}

std::string shown(const std::filesystem::path& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

// Where the report is; draws its figures as files if that is asked for.
void show_files(const Options& options, const study::ReportFiles& files) {
  std::cout << "report: " << shown(files.html) << std::endl;
  if (options.figures.empty()) return;
  const auto drawn = study::export_figures(
      files.plots, {.formats = options.figures,
                    .python = python(options),
                    .script = shared_file("export_figures.py",
                                          "scripts/export_figures.py")});
  std::cout << "figures: " << drawn.size() << " files in "
            << shown(files.html.parent_path() / "plots") << "\n";
}

void write(const Options& options, const study::StudyPlan& plan,
           const study::StudyOptions& how, const study::Results& results) {
  const auto table = study::compare_to_baseline(results);
  const study::Verdict verdict = study::verdict(results, table);
  std::cout << "verdict: " << verdict.sentence << std::endl;
  show_files(options,
             study::write_report(results, study::study_folder(plan, how),
                                 vega_bundle(options)));
}

void write_all(const Options& options, const study::StudyPlan& plan,
               const study::StudyOptions& how,
               const study::StudyResults& results) {
  if (plan.cases.empty()) {
    write(options, plan, how, results.cases.front());
    return;
  }
  for (const study::Results& one : results.cases) {
    study::StudyPlan single = plan;
    single.name = one.setup.name;
    std::cout << one.setup.case_title << "\n";
    write(options, single, how, one);
  }
  if (results.cases.empty()) {
    std::cout << "no case can be reported yet\n";
    return;
  }
  std::cout << "overview of " << results.cases.size() << " of "
            << plan.cases.size() << " cases\n";
  show_files(options,
             study::write_overview(results, study::study_folder(plan, how),
                                   vega_bundle(options)));
}

void run(const Options& options) {
  // A missing bundle must show now, not after the study.
  (void)core::read_file(vega_bundle(options));
  const study::StudyPlan plan = plan_of(options);
  const study::StudyOptions how = study_options(options, true);
  write_all(options, plan, how, study::run_study(plan, how));
}

void report(const Options& options) {
  const study::StudyPlan plan = plan_of(options);
  study::StudyOptions how = study_options(options, false);
  how.say = nullptr;
  write_all(options, plan, how, study::run_study(plan, how));
}

std::string settings_text(const study::Cell& cell) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : cell.settings) {
    parts.push_back(key + "=" + core::shortest(value));
  }
  if (cell.length != 1) parts.push_back("x" + core::shortest(cell.length));
  return parts.empty() ? "-" : core::join(parts, " ");
}

void print_cells(const study::Results& results) {
  if (!results.setup.case_title.empty()) {
    std::cout << results.setup.case_title << "\n";
  }
  std::vector<std::vector<std::string>> rows = {{"cell", "phase", "hidden",
                                                 "auxiliary", "settings",
                                                 "seed", "state", "loss"}};
  for (const study::Cell& cell : results.cells) {
    rows.push_back({cell.id, cell.phase, core::shortest(cell.hidden_lr),
                    core::shortest(cell.auxiliary_lr), settings_text(cell),
                    std::to_string(cell.seed), cell.state,
                    cell.loss ? core::fixed(*cell.loss, 4) : "-"});
  }
  std::cout << core::aligned_table(rows);
}

void status(const Options& options) {
  const study::StudyPlan plan = plan_of(options);
  study::StudyOptions how = study_options(options, false);
  how.say = nullptr;
  const study::StudyResults results = study::run_study(plan, how);
  if (options.json) {
    std::cout << study::results_json(results) << "\n";
    return;
  }
  for (const study::Results& one : results.cases) print_cells(one);
  std::cout << "cells that depend on unfinished ones are not listed yet\n"
            << results.setup.parallel << "\n";
}
// What the plan says of it; what it leaves open a run decides.
std::string parallel_text(const study::StudyPlan& plan) {
  std::string text = plan.jobs ? std::to_string(*plan.jobs) + " side by side"
                               : "as many side by side as `study run` chooses";
  if (plan.threads) {
    text += ", threads of each: " + std::to_string(*plan.threads);
  }
  return text;
}

void show_plan(const Options& options) {
  const study::StudyPlan plan = plan_of(options);
  std::vector<std::vector<std::string>> rows = {
      {"arm", "rule", "search trials", "final seeds", "timing"}};
  for (const study::ArmPlan& arm : plan.arms) {
    const std::size_t timing = plan.timing_steps > 0 ? 1 : 0;
    rows.push_back(
        {arm.name, arm.rule, std::to_string(study::planned_trials(plan, arm)),
         std::to_string(plan.final_seeds.size()), std::to_string(timing)});
  }
  std::cout << plan.title << "\n"
            << core::aligned_table(rows) << study::planned_cells(plan)
            << " cells, " << parallel_text(plan) << "; baseline "
            << plan.baseline << "\n";
}

CLI::App* add(CLI::App& study, const std::string& name,
              const std::string& about, const std::shared_ptr<Options>& options,
              void (*action)(const Options&)) {
  auto* verb = study.add_subcommand(name, about);
  verb->add_option("PLAN", options->plan, "TOML file with a [study] section")
      ->required();
  verb->add_option("--set", options->overrides,
                   "KEY=VALUE of the plan or the run configuration; may be "
                   "repeated")
      ->allow_extra_args(false);
  verb->add_option("--scale", options->scale,
                   "S times smaller: width, feed-forward, batch, held-out "
                   "windows, vocabulary and tokens together")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--runs", options->runs, "folder of the runs")
      ->capture_default_str();
  verb->add_option("--studies", options->studies, "folder of the reports")
      ->capture_default_str();
  verb->callback([options, action] { action(*options); });
  return verb;
}

}  // namespace

void add_study_verb(CLI::App& app, Exit&) {
  auto* verb = app.add_subcommand("study", "compare optimizers");
  verb->require_subcommand(1);
  auto options = std::make_shared<Options>();
  add(*verb, "plan", "what would be run", options, show_plan);
  auto* run_verb =
      add(*verb, "run", "run what is not done yet, then write the report",
          options, run);
  run_verb
      ->add_option("--jobs", options->jobs,
                   "runs side by side (default: the plan's; \"auto\" there "
                   "measures before the first run, and keeps the choice with "
                   "the runs)")
      ->check(CLI::PositiveNumber);
  run_verb->footer("Example: muonlab study run configs/quick.toml");
  auto* status_verb = add(*verb, "status", "what is done", options, status);
  status_verb->add_flag("--json", options->json, "one JSON object on stdout");
  auto* report_verb =
      add(*verb, "report", "write the report from the runs that are there",
          options, report);
  for (CLI::App* one : {run_verb, report_verb}) {
    one->add_option("--vega", options->vega,
                    "JavaScript bundle of Vega-Lite (default: $MUONLAB_VEGA, "
                    "else the one that scripts/setup wrote)");
  }
  auto* figures =
      report_verb
          ->add_option(
              "--figures", options->figures,
              "also write plots/FIGURE.svg, .png or .pdf, 480 pixels (5 "
              "inches) wide, PNG at twice that, on white, without the "
              "captions; may be repeated or a list: svg,pdf")
          ->delimiter(',')
          ->allow_extra_args(false)
          ->check(CLI::IsMember(study::figure_formats()));
  report_verb
      ->add_option(
          "--python", options->python,
          "interpreter with vl-convert-python, which draws those (default: "
          "$MUONLAB_PYTHON, else .venv of the source tree, else python3)")
      ->needs(figures);
  report_verb->footer(
      "Example: muonlab study report configs/quick.toml --figures pdf");
}

}  // namespace muonlab::tools
