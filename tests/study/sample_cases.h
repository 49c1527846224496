// Synthetic studies beside sample_results.h's: a two-key grid with halving, a
// search alone, four sizes with horizons, a repair ladder, and the two that the
// published study's figures are drawn from. Numbers are invented.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/study/sample_results.h"

namespace muonlab::study::testing {

inline constexpr const char* kDecay = "optim.weight_decay";

/// Gives a cell of sample_results() what newer runs record.
inline void enrich(Cell& cell, const Setup& setup) {
  cell.tokens = setup.steps * setup.tokens_per_step;
  cell.flops = static_cast<double>(cell.tokens) * setup.flops_per_token;
  for (CurvePoint& point : cell.train) {
    point.loss = std::max(point.loss, 0.01);
  }
  if (cell.loss) cell.accuracy = std::exp(-0.25 * *cell.loss);
  const double slow = cell.arm == "adamw" ? 1 : 1.08;
  for (auto* curve : {&cell.train, &cell.held_out}) {
    for (CurvePoint& point : *curve) {
      point.seconds = 0.1 * slow * static_cast<double>(point.step);
    }
  }
  for (CurvePoint& point : cell.held_out) {
    point.accuracy = std::exp(-0.25 * point.loss);
  }
}

/// sample_results() with times, accuracies and FLOPs.
inline Results rich_results() {
  Results results = sample_results();
  results.setup.flops_per_token = 7.2e6;
  for (Cell& cell : results.cells) enrich(cell, results.setup);
  return results;
}

inline double decay_loss(const SampleArm& arm, double hidden, double decay) {
  const double rate = std::log2(hidden / arm.hidden_lr);
  return arm.final_loss + 0.03 * rate * rate +
         0.04 * std::pow(std::log2((decay + 0.02) / 0.12), 2);
}

/// Two arms, a grid of four rates by three decays (0 among them), one rung at a
/// quarter of the steps that keeps half, two audits. `better_audit`: one of
/// muon's audits beats the chosen trial by 0.0125 nats.
inline Results grid_results(bool better_audit) {
  Results results = rich_results();
  results.cells.clear();
  results.arms.clear();
  results.setup.name = "grid";
  const std::vector<double> decays = {0, 0.1, 0.3};
  for (const SampleArm& sample : {sample_arms()[1], sample_arms()[2]}) {
    Arm arm;
    arm.name = sample.name;
    arm.rule = sample.rule;
    arm.description = "rate and weight decay together";
    arm.hidden_lr = sample.hidden_lr;
    arm.auxiliary_lr = sample.auxiliary_lr;
    arm.settings = {{kDecay, 0.1}};
    RateSearch rates{"hidden", {}, {}, sample.hidden_lr, false, {}, {}, {}, {}};
    RateSearch keys{kDecay, decays, {}, 0.1, false, {}, {}, {}, {}};
    for (const double factor : {.25, .5, 1.0, 2.0}) {
      const double hidden = factor * sample.hidden_lr;
      rates.grid.push_back(hidden);
      for (const double decay : decays) {
        Cell cell =
            sample_cell(sample, "search", 0, hidden, sample.auxiliary_lr);
        cell.settings = {{kDecay, decay}};
        cell.loss = decay_loss(sample, hidden, decay);
        Cell rung = cell;
        rung.length = 0.25;
        rung.loss = *cell.loss + 0.4;
        rung.id += "-rung-" + std::to_string(decay);
        cell.id += "-" + std::to_string(decay);
        results.cells.push_back(rung);
        ++arm.trials;
        const bool kept = factor >= 1 && decay > 0;
        cell.audit = factor == .5 && decay > 0;
        if (cell.audit && better_audit && sample.name == "muon" &&
            decay == 0.1) {
          cell.loss = decay_loss(sample, sample.hidden_lr, 0.1) - 0.0125;
        }
        if (factor == 2 && decay == 0.3) {
          cell.state = "diverged";
          cell.cause = "loss is not finite at step 61";
          cell.loss = kInitialLoss;
        }
        if (!kept && !cell.audit) continue;
        enrich(cell, results.setup);
        results.cells.push_back(cell);
        ++arm.trials;
      }
    }
    arm.searches = {rates, keys};
    results.arms.push_back(arm);
    for (const std::uint64_t seed : results.setup.final_seeds) {
      Cell cell = sample_cell(sample, "final", seed, sample.hidden_lr,
                              sample.auxiliary_lr);
      cell.settings = arm.settings;
      add_curves(cell, results.setup);
      enrich(cell, results.setup);
      results.cells.push_back(std::move(cell));
    }
  }
  return results;
}

/// rich_results() without final seeds: the search alone, with curves.
inline Results search_only_results() {
  Results results = rich_results();
  results.setup.final_seeds.clear();
  std::erase_if(results.cells,
                [](const Cell& cell) { return cell.phase == "final"; });
  for (Cell& cell : results.cells) {
    if (cell.phase != "search" || cell.state != "done") continue;
    add_curves(cell, results.setup);
    enrich(cell, results.setup);
  }
  return results;
}

/// One case of sample_sizes(): two arms, five seeds; muon's lead grows.
inline Results sample_size(const std::string& name, std::int64_t parameters,
                           double place) {
  Results results;
  results.setup = rich_results().setup;
  results.setup.name = "sizes/" + name;
  results.setup.case_name = name;
  results.setup.case_title = "Width " + name.substr(1);
  results.setup.case_settings = {"model.width = " + name.substr(1)};
  results.setup.parameters = parameters;
  if (place > 0) results.setup.rates_from = "w64";
  for (SampleArm sample : {sample_arms()[1], sample_arms()[2]}) {
    Arm arm;
    arm.name = sample.name;
    arm.rule = sample.rule;
    arm.hidden_lr = sample.hidden_lr;
    arm.auxiliary_lr = sample.auxiliary_lr;
    arm.searched = place == 0;
    results.arms.push_back(arm);
    const double size = static_cast<double>(parameters);
    const auto loss_at = [&](double share) {
      return 2.4 + 60 * std::pow(size, -0.27) +
             120 * std::pow(share * 491520, -0.42) -
             (sample.rule == "muon" ? 0.03 + 0.012 * place : 0);
    };
    for (const std::uint64_t seed : results.setup.final_seeds) {
      const auto run = [&](const std::string& phase, double length) {
        Cell cell = sample_cell(sample, phase, seed, sample.hidden_lr,
                                sample.auxiliary_lr);
        cell.id += "-" + std::to_string(length);
        cell.length = length;
        cell.loss = loss_at(length) + 0.012 * noise(seed, "seed", 0) +
                    0.006 * noise(seed, arm.name + phase,
                                  static_cast<std::uint64_t>(100 * length));
        if (phase == "final") add_curves(cell, results.setup);
        enrich(cell, results.setup);
        results.cells.push_back(std::move(cell));
      };
      run("final", 1);
      if (arm.name != results.setup.baseline) continue;
      for (const double length : {0.25, 0.5, 0.75}) run("horizon", length);
    }
    Cell timing =
        sample_cell(sample, "timing", 1, sample.hidden_lr, sample.auxiliary_lr);
    timing.step_time = sample.rule == "muon" ? StepTime{.03, .058, .006, .001}
                                             : StepTime{.03, .057, .002, .001};
    results.cells.push_back(timing);
  }
  results.commands = {"muonlab study run configs/sizes.toml"};
  return results;
}

inline StudyResults as_study(std::vector<Results> cases,
                             const std::string& name,
                             const std::string& title) {
  StudyResults all;
  all.cases = std::move(cases);
  all.setup = all.cases.front().setup;
  all.setup.name = name;
  all.setup.title = title;
  return all;
}

/// Four sizes whose baseline ran at four lengths.
inline StudyResults sample_sizes() {
  return as_study(
      {sample_size("w64", 420'000, 0), sample_size("w128", 1'311'872, 1),
       sample_size("w192", 2'700'000, 2), sample_size("w256", 4'500'000, 3)},
      "sizes", "Does Muon's lead grow with size?");
}

/// Three cases of one size, each with one mistake repaired.
inline StudyResults sample_ladder() {
  std::vector<Results> cases;
  const std::vector<std::pair<std::string, std::string>> names = {
      {"as-coded", ""},
      {"positions", "model.positions = \"rope\""},
      {"split", "data.split = \"documents\""}};
  for (std::size_t i = 0; i < names.size(); ++i) {
    Results one = sample_size("w128", 1'311'872, 1 + static_cast<double>(i));
    one.setup.name = "ladder/" + names[i].first;
    one.setup.case_name = names[i].first;
    one.setup.case_title = "Case " + names[i].first;
    one.setup.case_settings.clear();
    one.setup.rates_from = i > 0 ? "as-coded" : "";
    if (i > 0) one.setup.case_settings = {names[i].second};
    one.setup.split_by_windows = i < 2;
    std::erase_if(one.cells,
                  [](const Cell& cell) { return cell.phase == "horizon"; });
    cases.push_back(one);
  }
  return as_study(cases, "ladder", "What each repaired mistake changes");
}

/// Experiment 1: single runs at the published rates.
inline Results published_one_results() {
  Results results;
  results.setup = rich_results().setup;
  results.setup.name = "seed-exp1";
  results.setup.title = "Learning rates, as the published study coded it";
  results.setup.report = "published-1";
  results.setup.search_seeds = {42};
  results.setup.final_seeds.clear();
  results.setup.split_by_windows = true;
  results.setup.last_rate_share = 1;
  const auto add = [&](const std::string& name, double factor,
                       const std::vector<double>& rates, double best) {
    Arm arm;
    arm.name = name;
    arm.rule = name == "muon" ? "muon" : "adamw";
    RateSearch search{"joint", {}, {}, 0, false, {}, {}, {}, {}};
    double lowest = 1e9;
    for (const double rate : rates) {
      SampleArm sample{name, arm.rule, factor * rate, factor * rate, 1};
      Cell cell = sample_cell(sample, "search", 42, factor * rate,
                              factor * rate * (name == "muon" ? 0.1 : 1));
      const double octaves = std::log2(rate / best);
      cell.loss = 0.1 + 0.08 * octaves * octaves;
      add_curves(cell, results.setup);
      enrich(cell, results.setup);
      cell.accuracy = std::exp(-*cell.loss / 3);
      search.grid.push_back(cell.hidden_lr);
      if (*cell.loss < lowest) {
        lowest = *cell.loss;
        arm.hidden_lr = search.best = cell.hidden_lr;
        arm.auxiliary_lr = cell.auxiliary_lr;
      }
      results.cells.push_back(std::move(cell));
      ++arm.trials;
    }
    arm.searches = {search};
    results.arms.push_back(arm);
  };
  const std::vector<double> adamw = {1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2};
  add("adamw", 1, adamw, 2e-3);
  add("adamw-width", 4, adamw, 1e-3);
  add("muon", 1, {0.001, 0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05}, 0.011);
  results.commands = {"muonlab study run configs/seed-exp1-as-coded.toml"};
  return results;
}

/// Experiment 2: the published finals themselves, seeds 42 and 1042, so that
/// its table must come out again. `order`: AdamW 42, 1042, Muon 42, 1042.
struct PublishedFinals {
  const char* size;
  std::int64_t parameters;
  std::int64_t steps;
  std::vector<double> loss;
  std::vector<double> accuracy;
  std::vector<double> seconds;
};

inline std::vector<PublishedFinals> published_finals() {
  return {{"tiny",
           11'208'384,
           1500,
           {.8373, .7851, .9444, .9423},
           {.7875, .8006, .7830, .7841},
           {274.8, 273.1, 285.7, 281.5}},
          {"small",
           29'496'192,
           1250,
           {.1948, .1930, .1582, .1593},
           {.9494, .9497, .9626, .9623},
           {268.2, 268.3, 277.9, 278.1}},
          {"medium",
           50'340'352,
           1000,
           {.3210, .2986, .1644, .1575},
           {.9143, .9204, .9604, .9624},
           {203.3, 202.7, 211.5, 211.5}},
          {"large",
           108'543'744,
           750,
           {3.8141, 3.7074, .2260, .2161},
           {.2791, .2878, .9453, .9475},
           {205.3, 205.2, 215.7, 215.8}}};
}

inline StudyResults published_two_results() {
  std::vector<Results> cases;
  for (const PublishedFinals& finals : published_finals()) {
    Results one;
    one.setup = published_one_results().setup;
    one.setup.report = "published-2";
    one.setup.name = std::string("seed-exp2/") + finals.size;
    one.setup.case_name = finals.size;
    one.setup.case_title = std::string("Size ") + finals.size;
    one.setup.case_settings = {"train.steps = " + std::to_string(finals.steps)};
    one.setup.parameters = finals.parameters;
    one.setup.steps = finals.steps;
    one.setup.final_seeds = {42, 1042};
    for (std::size_t a = 0; a < 2; ++a) {
      Arm arm;
      arm.name = arm.rule = a == 0 ? "adamw" : "muon";
      arm.hidden_lr = a == 0 ? 3e-3 : 1e-2;
      arm.auxiliary_lr = a == 0 ? 3e-3 : 1e-3;
      arm.searched = false;
      one.arms.push_back(arm);
      for (std::size_t s = 0; s < 2; ++s) {
        const SampleArm sample{arm.name, arm.rule, arm.hidden_lr,
                               arm.auxiliary_lr, 1};
        Cell cell = sample_cell(sample, "final", s == 0 ? 42 : 1042,
                                arm.hidden_lr, arm.auxiliary_lr);
        cell.loss = finals.loss[2 * a + s];
        add_curves(cell, one.setup);
        enrich(cell, one.setup);
        cell.accuracy = finals.accuracy[2 * a + s];
        cell.wall_seconds = finals.seconds[2 * a + s];
        one.cells.push_back(std::move(cell));
      }
    }
    one.commands = {"muonlab study run configs/seed-exp2-as-coded.toml"};
    cases.push_back(std::move(one));
  }
  return as_study(std::move(cases), "seed-exp2",
                  "Four sizes, as the published study coded it");
}

}  // namespace muonlab::study::testing
