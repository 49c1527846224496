#include "muonlab/study/report.h"

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/study/comparison.h"
#include "muonlab/study/figures.h"
#include "muonlab/study/report_files_internal.h"

namespace muonlab::study {

namespace detail {

namespace {

std::string read_bundle(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw Error(
        ErrorKind::kIo,
        path.string() + ": the figure library for report.html is missing",
        "run scripts/setup, which writes it, then write the report "
        "again");
  }
  std::string bundle = core::read_file(path);
  if (bundle.find("vegaEmbed") == std::string::npos) {
    throw Error(ErrorKind::kCorruptData,
                path.string() + ": does not define vegaEmbed",
                "run scripts/setup, which writes it anew");
  }
  return bundle;
}

}  // namespace

ReportFiles write_files(const Document& document,
                        const std::vector<Figure>& drawings,
                        const std::string& csv, const std::string& json,
                        const std::filesystem::path& folder,
                        const std::filesystem::path& vega_bundle) {
  const std::filesystem::path plots = folder / "plots";
  // Figures of an earlier report that this one lacks would be read as its own.
  std::error_code ignored;
  std::filesystem::remove_all(plots, ignored);
  core::make_folder(plots);
  ReportFiles files;
  files.csv = folder / "results.csv";
  core::write_file(files.csv, csv);
  files.json = folder / "results.json";
  core::write_file(files.json, json);
  files.markdown = folder / "report.md";
  core::write_file(files.markdown, render_markdown(document));
  const auto write_plot = [&](const Figure& figure) {
    files.plots.push_back(plots / (figure.name + ".vl.json"));
    core::write_file(files.plots.back(), figure.spec + "\n");
  };
  for (const Figure& figure : drawings) {
    if (figure.panels.empty()) write_plot(figure);
    for (const Figure& panel : figure.panels) write_plot(panel);
  }
  files.html = folder / "report.html";
  core::write_file(files.html, render_html(document, read_bundle(vega_bundle)));
  return files;
}

}  // namespace detail

ReportFiles write_report(const Results& results,
                         const std::filesystem::path& folder,
                         const std::filesystem::path& vega_bundle) {
  const ComparisonTable table = compare_to_baseline(results);
  const std::vector<Figure> drawings = figures(results, table);
  return detail::write_files(detail::build_document(results, table, drawings),
                             drawings, results_csv(results),
                             results_json(results), folder, vega_bundle);
}

}  // namespace muonlab::study
