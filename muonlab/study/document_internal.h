// The report as a tree of plain text, so that report.md and report.html say the
// same: sections are written once, the two renderers only mark them up.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "muonlab/statistics/sensitivity.h"
#include "muonlab/study/audit.h"
#include "muonlab/study/figures.h"
#include "muonlab/study/verdict.h"

namespace muonlab::study::detail {

struct Paragraph {
  std::string text;
};
struct Subheading {
  std::string text;
};
struct Bullets {
  struct Item {
    std::string label;  ///< "unfair", ...; may be empty
    std::string text;
  };
  std::vector<Item> items;
};
struct Table {
  std::vector<std::string> heading;
  std::vector<std::vector<std::string>> rows;
  /// "#rrggbb" of each row's first cell; empty: no colour.
  std::vector<std::string> colors;
  /// Relative addresses behind each row's first cell; empty: no link.
  std::vector<std::string> links;
  /// Columns of prose, counted from the left; the others hold numbers.
  std::size_t text_columns = 1;
};
struct Code {
  std::vector<std::string> lines;
};
struct FigureBlock {
  int number = 0;
  Figure figure;
};
using Block =
    std::variant<Paragraph, Subheading, Bullets, Table, Code, FigureBlock>;

struct Section {
  std::string title;
  std::vector<Block> blocks;
};

struct Document {
  std::string title;
  std::string question;
  Verdict verdict;
  std::vector<Section> sections;
};

/// The sections that show outcomes: results, seeds, search, cost, failures.
[[nodiscard]] Section results_section(const Results& results,
                                      const ComparisonTable& table);
[[nodiscard]] Section seeds_section(const Results& results,
                                    const ComparisonTable& table);
[[nodiscard]] Section search_section(const Results& results);
struct RateShape {
  std::size_t trials = 0;
  statistics::Sensitivity sensitivity;
  statistics::Basin basin;
};
/// Along the main line of a rate; unset with fewer than two of them.
[[nodiscard]] std::optional<RateShape> rate_shape(const Results& results,
                                                  const Arm& arm,
                                                  const std::string& key);
/// What a wrong value of each searched rate costs.
void add_sensitivity(const Results& results, Section& section);
[[nodiscard]] Section cost_section(const Results& results);
[[nodiscard]] Section failures_section(const Results& results);

[[nodiscard]] Document build_document(const Results& results,
                                      const ComparisonTable& table,
                                      const std::vector<Figure>& figures);
[[nodiscard]] std::string render_markdown(const Document& document);
/// `bundle` is the JavaScript that defines window.vegaEmbed.
[[nodiscard]] std::string render_html(const Document& document,
                                      const std::string& bundle);

}  // namespace muonlab::study::detail
