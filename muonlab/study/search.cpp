#include "muonlab/study/search.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "muonlab/core/error.h"
#include "muonlab/statistics/parabola.h"

namespace muonlab::study {

ArmSearch::ArmSearch(const ArmPlan& arm, std::int64_t extensions)
    : arm_(arm),
      extras_left_(extensions),
      coordinate_(arm.is_joint() ? Coordinate::kJoint : Coordinate::kHidden) {
  ask(coordinate_, arm.is_joint() ? arm.joint : arm.hidden);
}

Rates ArmSearch::at(Coordinate coordinate, double rate) const {
  switch (coordinate) {
    case Coordinate::kHidden:
      return {rate, arm_.auxiliary.front()};
    case Coordinate::kAuxiliary:
      return {held_hidden_, rate};
    case Coordinate::kJoint:
      return {rate, rate};
  }
  return {};
}

void ArmSearch::ask(Coordinate coordinate, const std::vector<double>& rates) {
  for (const double rate : rates) {
    const Rates trial = at(coordinate, rate);
    if (asked_.insert(trial).second) ready_.push_back(trial);
  }
}

std::vector<Rates> ArmSearch::next() {
  std::vector<Rates> trials;
  trials.swap(ready_);
  return trials;
}

void ArmSearch::record(Rates rates, double loss, bool diverged) {
  MUONLAB_CHECK(asked_.count(rates) != 0, "search: a result for rates ",
                rates.hidden, ", ", rates.auxiliary,
                " that were not asked for");
  outcomes_[rates] = {loss, diverged};
  while (!finished_ && outcomes_.size() == asked_.size()) advance();
}

std::map<double, ArmSearch::Outcome> ArmSearch::sweep(
    Coordinate coordinate) const {
  std::map<double, Outcome> found;
  for (const auto& [rates, outcome] : outcomes_) {
    const double rate =
        coordinate == Coordinate::kAuxiliary ? rates.auxiliary : rates.hidden;
    if (rates == at(coordinate, rate)) found[rate] = outcome;
  }
  return found;
}

double ArmSearch::best_rate(const std::map<double, Outcome>& sweep) {
  return std::min_element(sweep.begin(), sweep.end(),
                          [](const auto& a, const auto& b) {
                            return a.second.loss < b.second.loss;
                          })
      ->first;
}

bool ArmSearch::on_edge(const std::map<double, Outcome>& sweep) {
  const double best = best_rate(sweep);
  return best == sweep.begin()->first || best == sweep.rbegin()->first;
}

double ArmSearch::extra_rate(Coordinate coordinate, bool edge) const {
  const auto points = sweep(coordinate);
  const auto best = points.find(best_rate(points));
  if (points.size() == 1) return best->first * 2;  // a grid of one rate
  const auto first = points.begin();
  const auto last = std::prev(points.end());
  if (edge) {
    if (best == first)
      return first->first * first->first / std::next(first)->first;
    return last->first * last->first / std::prev(last)->first;
  }
  // Without an edge both neighbours exist, unless extras are forced inwards.
  const auto lower = best == first ? std::next(best) : std::prev(best);
  const auto upper = best == last ? std::prev(best) : std::next(best);
  const auto better = lower->second.loss < upper->second.loss ? lower : upper;
  return std::sqrt(best->first * better->first);
}

// Called when every trial handed out has its result: decides what comes next.
void ArmSearch::advance() {
  const auto points = sweep(coordinate_);
  const bool edge = on_edge(points);
  const bool last = coordinate_ != Coordinate::kHidden;
  if (extras_left_ > 0 && (edge || last)) {
    --extras_left_;
    const double rate = extra_rate(coordinate_, edge);
    extras_.insert(at(coordinate_, rate));
    ask(coordinate_, {rate});
    return;
  }
  if (!last) {
    held_hidden_ = best_rate(points);
    coordinate_ = Coordinate::kAuxiliary;
    ask(coordinate_, arm_.auxiliary);
    return;
  }
  finished_ = true;
}

Rates ArmSearch::best() const {
  MUONLAB_CHECK(!outcomes_.empty(), "search: arm '", arm_.name,
                "' has no result yet");
  return std::min_element(outcomes_.begin(), outcomes_.end(),
                          [](const auto& a, const auto& b) {
                            return a.second.loss < b.second.loss;
                          })
      ->first;
}

std::vector<RateSearch> ArmSearch::summary() const {
  std::vector<Coordinate> coordinates = {Coordinate::kJoint};
  if (!arm_.is_joint()) {
    coordinates = {Coordinate::kHidden};
    if (coordinate_ == Coordinate::kAuxiliary) {
      coordinates.push_back(Coordinate::kAuxiliary);
    }
  }
  std::vector<RateSearch> searches;
  for (const Coordinate coordinate : coordinates) {
    const auto points = sweep(coordinate);
    if (points.empty()) continue;
    RateSearch search;
    search.rate = coordinate == Coordinate::kJoint    ? "joint"
                  : coordinate == Coordinate::kHidden ? "hidden"
                                                      : "auxiliary";
    search.grid = coordinate == Coordinate::kJoint    ? arm_.joint
                  : coordinate == Coordinate::kHidden ? arm_.hidden
                                                      : arm_.auxiliary;
    std::sort(search.grid.begin(), search.grid.end());
    search.best = best_rate(points);
    search.edge = on_edge(points);
    std::vector<double> rates;
    std::vector<double> losses;
    for (const auto& [rate, outcome] : points) {
      if (extras_.count(at(coordinate, rate)) != 0)
        search.added.push_back(rate);
      if (outcome.diverged) continue;
      rates.push_back(rate);
      losses.push_back(outcome.loss);
    }
    if (const auto fit = statistics::fit_parabola(rates, losses)) {
      search.fitted_optimum = fit->optimum;
      search.fitted_loss = fit->loss;
      search.curvature = fit->curvature;
      search.fit_rates = fit->rates;
    }
    searches.push_back(std::move(search));
  }
  return searches;
}

}  // namespace muonlab::study
