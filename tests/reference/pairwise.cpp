#include "tests/reference/pairwise.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

namespace muonlab::reference {

namespace {

std::string value_text(const Value& value) {
  if (const auto* word = std::get_if<std::string>(&value)) return *word;
  if (const auto* flag = std::get_if<bool>(&value)) {
    return *flag ? "true" : "false";
  }
  char text[32];
  std::snprintf(text, sizeof text, "%g", std::get<double>(value));
  return text;
}

// Both rows as one; false where they would give an option two meanings.
bool join(Options& row, const Options& more) {
  for (const auto& [name, value] : more) {
    if (!row.insert({name, value}).second) return false;
  }
  return true;
}

using Pair = std::pair<std::size_t, std::size_t>;

// A row being filled.
class Row {
 public:
  Row(const std::vector<Choice>& choices,
      const std::function<bool(const Options&)>& allowed)
      : choices_(choices), allowed_(allowed) {}

  bool add(std::size_t choice) {
    Options larger = options_;
    if (!join(larger, choices_[choice].values) || !allowed_(larger)) {
      return false;
    }
    options_ = larger;
    members_.push_back(choice);
    return true;
  }

  // An allowed pair, of which one choice alone may not be allowed.
  void start(const Pair& pair) {
    join(options_, choices_[pair.first].values);
    join(options_, choices_[pair.second].values);
    members_ = {pair.first, pair.second};
  }

  [[nodiscard]] std::vector<Pair> pairs_with(std::size_t choice) const {
    std::vector<Pair> pairs;
    for (const std::size_t member : members_) {
      pairs.push_back(std::minmax(member, choice));
    }
    return pairs;
  }

  [[nodiscard]] const Options& options() const { return options_; }

 private:
  const std::vector<Choice>& choices_;
  const std::function<bool(const Options&)>& allowed_;
  Options options_;
  std::vector<std::size_t> members_;
};

std::size_t count_of(const std::set<Pair>& open,
                     const std::vector<Pair>& some) {
  return static_cast<std::size_t>(
      std::count_if(some.begin(), some.end(),
                    [&open](const Pair& pair) { return open.contains(pair); }));
}

// Starts with one pair that is still open and adds what closes most others.
Options fill_row(Row row, std::size_t choices, std::set<Pair>& open) {
  const Pair first = *open.begin();
  open.erase(first);
  row.start(first);
  std::set<std::size_t> refused;
  while (true) {
    std::size_t best = choices;
    std::size_t most = 0;
    for (std::size_t i = 0; i < choices; ++i) {
      if (refused.contains(i)) continue;
      const std::size_t gain = count_of(open, row.pairs_with(i));
      if (gain > most) {
        best = i;
        most = gain;
      }
    }
    if (best == choices) return row.options();
    const std::vector<Pair> closed = row.pairs_with(best);
    if (row.add(best)) {
      for (const Pair& pair : closed) open.erase(pair);
    }
    refused.insert(best);
  }
}

}  // namespace

std::string choice_name(const Choice& choice) {
  std::string name =
      choice.option + "=" + value_text(choice.values.at(choice.option));
  for (const auto& [option, value] : choice.values) {
    if (option != choice.option) name += "," + option + "=" + value_text(value);
  }
  return name;
}

Covering cover_pairs(const std::vector<Choice>& choices,
                     const std::function<bool(const Options&)>& allowed) {
  Covering covering;
  covering.choices = choices.size();
  const Row empty(choices, allowed);
  std::set<Pair> open;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    for (std::size_t j = i + 1; j < choices.size(); ++j) {
      if (choices[i].option == choices[j].option) continue;
      ++covering.pairs;
      Options both = choices[i].values;
      if (join(both, choices[j].values) && allowed(both)) {
        open.insert({i, j});
      } else {
        ++covering.forbidden;
      }
    }
  }
  while (!open.empty()) {
    covering.rows.push_back(fill_row(empty, choices.size(), open));
  }
  return covering;
}

}  // namespace muonlab::reference
