//! Our constraints and variables as the files that the peers read: `.r1cs` and `.wtns`, the binary formats of circom and
//! snarkjs (<https://github.com/iden3/r1csfile/blob/master/doc/r1cs_bin_format.md>), over the field of BLS12-381.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use ward_circuits::eligibility::Eligibility;
use ward_circuits::field::to_bytes;
use ward_circuits::r1cs::{Builder, Matrices};
use ward_circuits::{ConstrainedStatement, Element};

use crate::{Result, zkey};

/// Writes `eligibility.r1cs`, `eligibility.wtns` and our key as `eligibility.zkey` into a folder.
pub fn write(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let (public, witness) = Eligibility::example();
    let (mut builder, nums) = Builder::shape(&Eligibility::public_inputs(&public));
    Eligibility::synthesize(&mut builder, &nums, &public, &witness);
    let (matrices, variables) = builder.finish();
    sections(&folder.join("eligibility.r1cs"), b"r1cs", 1, &r1cs(&matrices)?)?;
    sections(&folder.join("eligibility.wtns"), b"wtns", 2, &wtns(variables.expose())?)?;
    let parts = crate::proofs::parts_of(&matrices);
    zkey::write(&folder.join("eligibility.zkey"), &matrices, &parts)
}

/// A file of numbered sections.
pub fn sections(path: &Path, magic: &[u8; 4], version: u32, bodies: &[Vec<u8>]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(magic)?;
    file.write_all(&version.to_le_bytes())?;
    file.write_all(&u32::try_from(bodies.len())?.to_le_bytes())?;
    for (number, body) in (1u32..).zip(bodies) {
        file.write_all(&number.to_le_bytes())?;
        file.write_all(&(body.len() as u64).to_le_bytes())?;
        file.write_all(body)?;
    }
    Ok(file.flush()?)
}

/// An element, least significant byte first.
pub fn element(value: &Element) -> [u8; 32] {
    let mut bytes = to_bytes(value);
    bytes.reverse();
    bytes
}

/// Bytes of an element, then the modulus.
fn field() -> Vec<u8> {
    let mut modulus = element(&-Element::from(1u8));
    modulus[0] += 1; // the modulus is odd and ends in 01: its predecessor ends in 00
    [&32u32.to_le_bytes()[..], &modulus].concat()
}

fn r1cs(matrices: &Matrices) -> Result<Vec<Vec<u8>>> {
    let mut header = field();
    // Wires, outputs, public inputs, private inputs; labels; constraints.
    for count in [matrices.variables(), 0, matrices.inputs, matrices.witnesses] {
        header.extend(u32::try_from(count)?.to_le_bytes());
    }
    header.extend((matrices.variables() as u64).to_le_bytes());
    header.extend(u32::try_from(matrices.constraints)?.to_le_bytes());
    let mut constraints = Vec::new();
    let [a, b, c] = [&matrices.a, &matrices.b, &matrices.c].map(|matrix| matrices.rows(matrix));
    for ((a, b), c) in a.zip(b).zip(c) {
        for row in [a.collect::<Vec<_>>(), b.collect(), c.collect()] {
            constraints.extend(u32::try_from(row.len())?.to_le_bytes());
            for (column, value) in row {
                constraints.extend(u32::try_from(column)?.to_le_bytes());
                constraints.extend(element(&value));
            }
        }
    }
    let labels = (0..matrices.variables() as u64).flat_map(u64::to_le_bytes).collect();
    Ok(vec![header, constraints, labels])
}

fn wtns(variables: &[Element]) -> Result<Vec<Vec<u8>>> {
    let mut header = field();
    header.extend(u32::try_from(variables.len())?.to_le_bytes());
    Ok(vec![header, variables.iter().flat_map(element).collect()])
}
